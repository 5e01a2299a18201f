// The Python type _asioloop.PipeReader: argument parsing in front of PipeReader.
#include <cstddef>
#include <new>

#include "stage3_native_loop/native/core/module.hpp"
#include "stage3_native_loop/native/net/pipe_reader.hpp"

namespace asioloop {

using asioserve::py::new_reference;

namespace {

struct ReaderObject {
    PyObject_HEAD alignas(PipeReader) std::byte storage[sizeof(PipeReader)];
};

PipeReader& reader(PyObject* self) {
    return *std::launder(reinterpret_cast<PipeReader*>(reinterpret_cast<ReaderObject*>(self)->storage));
}

PyObject* none_if(bool ok) {
    return ok ? new_reference(Py_None) : nullptr;
}

PyObject* reader_new(PyTypeObject* type, PyObject* args, PyObject*) {
    PyObject* loop = nullptr;
    int fd = -1;
    ModuleState* module = state_of(type);
    if (!module || !PyArg_ParseTuple(args, "Oi", &loop, &fd)) return nullptr;
    PyObject* self = type->tp_alloc(type, 0);
    if (!self) return nullptr;
    new (reinterpret_cast<ReaderObject*>(self)->storage) PipeReader(*module, self);
    if (reader(self).open(loop, fd)) return self;
    asioserve::py::drop(self);
    return nullptr;
}

int reader_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    return reader(self).traverse(visit, arg);
}

int reader_clear(PyObject* self) {
    reader(self).clear();
    return 0;
}

void reader_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    reader(self).~PipeReader();
    type->tp_free(self);
    asioserve::py::drop(reinterpret_cast<PyObject*>(type));
}

PyObject* start(PyObject* self, PyObject* transport) {
    return none_if(reader(self).start(transport));
}
PyObject* pause(PyObject* self, PyObject*) {
    reader(self).pause();
    return new_reference(Py_None);
}
PyObject* stop(PyObject* self, PyObject*) {
    reader(self).stop();
    return new_reference(Py_None);
}
PyObject* set_protocol(PyObject* self, PyObject* protocol) {
    reader(self).set_protocol(protocol);
    return new_reference(Py_None);
}
PyObject* read_now(PyObject* self, PyObject*) {
    return none_if(reader(self).run(false));
}
PyObject* reading(PyObject* self, void*) {
    return PyBool_FromLong(reader(self).reading());
}

PyMethodDef methods[] = {
    {"start", &start, METH_O, "Read from now on, for this transport, in the current context."},
    {"pause", &pause, METH_NOARGS, "No more data, until start()."},
    {"stop", &stop, METH_NOARGS, "For good: the descriptor is about to be closed."},
    {"set_protocol", &set_protocol, METH_O, "Whose data_received() is called from now on."},
    {"read_now", &read_now, METH_NOARGS, "Read, as when something has arrived."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef fields[] = {
    {"reading", &reading, nullptr, "Whether it waits for something to arrive.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("PipeReader(loop, fd): what a read pipe does for each packet.")},
    {Py_tp_new, reinterpret_cast<void*>(&reader_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&reader_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(&reader_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(&reader_clear)},
    {Py_tp_methods, methods},
    {Py_tp_getset, fields},
    {0, nullptr},
};

PyType_Spec spec = {
    "_asioloop.PipeReader", sizeof(ReaderObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots,
};

}  // namespace

PyObject* make_pipe_reader_type(PyObject* module) {
    return PyType_FromModuleAndSpec(module, &spec, nullptr);
}

}  // namespace asioloop
