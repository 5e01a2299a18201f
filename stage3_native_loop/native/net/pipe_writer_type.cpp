// The Python type _asioloop.PipeWriter: argument parsing in front of PipeWriter.
#include "stage3_native_loop/native/net/pipe_writer.hpp"

#include "stage3_native_loop/native/net/pipe_end_type.hpp"

namespace asioloop {

namespace {

using Type = PipeEndType<PipeWriter>;

PipeWriter& writer(PyObject* self) {
    return Type::end(self);
}

PyObject* start(PyObject* self, PyObject* args) {
    PyObject* transport = nullptr;
    int socket = 0;
    return Type::none_if(PyArg_ParseTuple(args, "Op", &transport, &socket) &&
                         writer(self).start(transport, socket != 0));
}
PyObject* write(PyObject* self, PyObject* args) {
    PyObject *data = nullptr, *transport = nullptr;
    if (!PyArg_ParseTuple(args, "OO", &data, &transport)) return nullptr;
    return writer(self).write(data, transport) ? PyLong_FromSize_t(writer(self).size()) : nullptr;
}
PyObject* write_now(PyObject* self, PyObject*) {
    return Type::none_if(writer(self).run(true));
}
PyObject* size(PyObject* self, void*) {
    return PyLong_FromSize_t(writer(self).size());
}

PyMethodDef methods[] = {
    {"start", &start, METH_VARARGS,
     "start(transport, socket): tell the transport when whoever reads has gone."},
    {"write", &write, METH_VARARGS, "write(data, transport): the number of bytes that wait then."},
    {"pause", &Type::pause, METH_NOARGS, "Forget what waits, and wait for nothing."},
    {"stop", &Type::stop, METH_NOARGS, "For good: the descriptor is about to be closed."},
    {"write_now", &write_now, METH_NOARGS, "Write what waits, as when there is room."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef fields[] = {
    {"size", &size, nullptr, "How many bytes wait.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

PyObject* make_pipe_writer_type(PyObject* module) {
    return Type::type(module, "_asioloop.PipeWriter",
                      "PipeWriter(loop, fd): what a write pipe does for each packet.", methods, fields);
}

}  // namespace asioloop
