// The Python type _asioloop.PipeWriter: argument parsing in front of PipeWriter.
#include <cstddef>
#include <new>

#include "stage3_native_loop/native/core/module.hpp"
#include "stage3_native_loop/native/net/pipe_writer.hpp"

namespace asioloop {

using asioserve::py::new_reference;

namespace {

struct WriterObject {
    PyObject_HEAD alignas(PipeWriter) std::byte storage[sizeof(PipeWriter)];
};

PipeWriter& writer(PyObject* self) {
    return *std::launder(reinterpret_cast<PipeWriter*>(reinterpret_cast<WriterObject*>(self)->storage));
}

PyObject* none_if(bool ok) {
    return ok ? new_reference(Py_None) : nullptr;
}

PyObject* writer_new(PyTypeObject* type, PyObject* args, PyObject*) {
    PyObject* loop = nullptr;
    int fd = -1;
    ModuleState* module = state_of(type);
    if (!module || !PyArg_ParseTuple(args, "Oi", &loop, &fd)) return nullptr;
    PyObject* self = type->tp_alloc(type, 0);
    if (!self) return nullptr;
    new (reinterpret_cast<WriterObject*>(self)->storage) PipeWriter(*module, self);
    if (writer(self).open(loop, fd)) return self;
    asioserve::py::drop(self);
    return nullptr;
}

int writer_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    return writer(self).traverse(visit, arg);
}

int writer_clear(PyObject* self) {
    writer(self).clear();
    return 0;
}

void writer_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    writer(self).~PipeWriter();
    type->tp_free(self);
    asioserve::py::drop(reinterpret_cast<PyObject*>(type));
}

PyObject* start(PyObject* self, PyObject* args) {
    PyObject* transport = nullptr;
    int socket = 0;
    return none_if(PyArg_ParseTuple(args, "Op", &transport, &socket) &&
                   writer(self).start(transport, socket != 0));
}
PyObject* write(PyObject* self, PyObject* args) {
    PyObject *data = nullptr, *transport = nullptr;
    if (!PyArg_ParseTuple(args, "OO", &data, &transport)) return nullptr;
    return writer(self).write(data, transport) ? PyLong_FromSize_t(writer(self).size()) : nullptr;
}
PyObject* pause(PyObject* self, PyObject*) {
    writer(self).pause();
    return new_reference(Py_None);
}
PyObject* stop(PyObject* self, PyObject*) {
    writer(self).stop();
    return new_reference(Py_None);
}
PyObject* write_now(PyObject* self, PyObject*) {
    return none_if(writer(self).run(true));
}
PyObject* size(PyObject* self, void*) {
    return PyLong_FromSize_t(writer(self).size());
}

PyMethodDef methods[] = {
    {"start", &start, METH_VARARGS,
     "start(transport, socket): tell the transport when whoever reads has gone."},
    {"write", &write, METH_VARARGS, "write(data, transport): the number of bytes that wait then."},
    {"pause", &pause, METH_NOARGS, "Forget what waits, and wait for nothing."},
    {"stop", &stop, METH_NOARGS, "For good: the descriptor is about to be closed."},
    {"write_now", &write_now, METH_NOARGS, "Write what waits, as when there is room."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef fields[] = {
    {"size", &size, nullptr, "How many bytes wait.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("PipeWriter(loop, fd): what a write pipe does for each packet.")},
    {Py_tp_new, reinterpret_cast<void*>(&writer_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&writer_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(&writer_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(&writer_clear)},
    {Py_tp_methods, methods},
    {Py_tp_getset, fields},
    {0, nullptr},
};

PyType_Spec spec = {
    "_asioloop.PipeWriter", sizeof(WriterObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots,
};

}  // namespace

PyObject* make_pipe_writer_type(PyObject* module) {
    return PyType_FromModuleAndSpec(module, &spec, nullptr);
}

}  // namespace asioloop
