// The Python type _asioloop.PipeReader: argument parsing in front of PipeReader.
#include "stage3_native_loop/native/net/pipe_reader.hpp"

#include "stage3_native_loop/native/net/pipe_end_type.hpp"

namespace asioloop {

using asioserve::py::new_reference;

namespace {

using Type = PipeEndType<PipeReader>;

PipeReader& reader(PyObject* self) {
    return Type::end(self);
}

PyObject* start(PyObject* self, PyObject* transport) {
    return Type::none_if(reader(self).start(transport));
}
PyObject* set_protocol(PyObject* self, PyObject* protocol) {
    reader(self).set_protocol(protocol);
    return new_reference(Py_None);
}
PyObject* read_now(PyObject* self, PyObject*) {
    return Type::none_if(reader(self).run(false));
}
PyObject* reading(PyObject* self, void*) {
    return PyBool_FromLong(reader(self).reading());
}

PyMethodDef methods[] = {
    {"start", &start, METH_O, "Read from now on, for this transport, in the current context."},
    {"pause", &Type::pause, METH_NOARGS, "No more data, until start()."},
    {"stop", &Type::stop, METH_NOARGS, "For good: the descriptor is about to be closed."},
    {"set_protocol", &set_protocol, METH_O, "Whose data_received() is called from now on."},
    {"read_now", &read_now, METH_NOARGS, "Read, as when something has arrived."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef fields[] = {
    {"reading", &reading, nullptr, "Whether it waits for something to arrive.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

PyObject* make_pipe_reader_type(PyObject* module) {
    return Type::type(module, "_asioloop.PipeReader",
                      "PipeReader(loop, fd): what a read pipe does for each packet.", methods, fields);
}

}  // namespace asioloop
