#include "stage3_native_loop/native/net/window.hpp"

namespace asioloop {

using asioserve::py::Ref;

namespace {

struct WindowObject {
    PyObject_HEAD void* data;
    Py_ssize_t size;
};

WindowObject& window(PyObject* self) {
    return *reinterpret_cast<WindowObject*>(self);
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
    return PyBuffer_FillInfo(view, self, window(self).data, window(self).size, 0, flags);
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    return 0;
}

void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    type->tp_free(self);
    asioserve::py::drop(reinterpret_cast<PyObject*>(type));
}

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("Memory of the loop, for the call that it is lent to.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(&dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(&traverse)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(&get_buffer)},
    {0, nullptr},
};

PyType_Spec spec = {
    "_asioloop.Window",
    sizeof(WindowObject),
    0,
    // To be collected, though it refers to its type alone: that refers to the module, which keeps it.
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_GC,
    slots,
};

}  // namespace

PyObject* make_window(PyObject* module) {
    Ref type = Ref::steal(PyType_FromModuleAndSpec(module, &spec, nullptr));
    return type ? PyType_GenericAlloc(reinterpret_cast<PyTypeObject*>(type.get()), 0) : nullptr;
}

WindowOver::WindowOver(PyObject* w, const void* data, std::size_t size) noexcept : window_(w) {
    window(w).data = const_cast<void*>(data);
    window(w).size = static_cast<Py_ssize_t>(size);
}

WindowOver::~WindowOver() {
    window(window_).data = nullptr;
    window(window_).size = 0;
}

}  // namespace asioloop
