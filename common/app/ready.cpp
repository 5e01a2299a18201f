#include "common/app/ready.hpp"

#include "common/python/errors.hpp"

namespace asioserve::app {

namespace {

struct Ready {
    PyObject_HEAD PyObject* value;
    PyObject* exception;
};

Ready* self_of(PyObject* o) noexcept {
    return reinterpret_cast<Ready*>(o);
}

int ready_traverse(PyObject* o, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(self_of(o)->value);
    Py_VISIT(self_of(o)->exception);
    return 0;
}

int ready_clear(PyObject* o) {
    py::clear(self_of(o)->value);
    py::clear(self_of(o)->exception);
    return 0;
}

void ready_dealloc(PyObject* o) {
    PyObject_GC_UnTrack(o);
    ready_clear(o);
    PyTypeObject* type = Py_TYPE(o);
    type->tp_free(o);
    py::drop(reinterpret_cast<PyObject*>(type));
}

PySendResult ready_send(PyObject* o, PyObject*, PyObject** result) {
    if (PyObject* exception = self_of(o)->exception) {
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception)), exception);
        *result = nullptr;
        return PYGEN_ERROR;
    }
    *result = py::new_reference(self_of(o)->value);
    return PYGEN_RETURN;
}

PyObject* ready_next(PyObject* o) {
    PyObject* result = nullptr;
    if (ready_send(o, Py_None, &result) == PYGEN_RETURN) {
        // The value is never a tuple or an exception, which would have to be wrapped.
        PyErr_SetObject(PyExc_StopIteration, result);
        py::drop(result);
    }
    return nullptr;
}

py::Ref make(const Shared& shared, PyObject* value, PyObject* exception) ASIOSERVE_REQUIRES(py::gil) {
    auto* type = reinterpret_cast<PyTypeObject*>(shared.types.ready.get());
    py::Ref ready = py::Ref::steal(type->tp_alloc(type, 0));
    if (!ready) return {};
    self_of(ready.get())->value = py::Ref::borrow(value).release();
    self_of(ready.get())->exception = py::Ref::borrow(exception).release();
    return ready;
}

}  // namespace

py::Ref make_ready_type(PyObject* module) {
    static PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>("An awaitable whose value is there.")},
        {Py_tp_traverse, reinterpret_cast<void*>(ready_traverse)},
        {Py_tp_clear, reinterpret_cast<void*>(ready_clear)},
        {Py_tp_dealloc, reinterpret_cast<void*>(ready_dealloc)},
        {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
        {Py_tp_iternext, reinterpret_cast<void*>(ready_next)},
        {Py_am_await, reinterpret_cast<void*>(PyObject_SelfIter)},
        {Py_am_send, reinterpret_cast<void*>(ready_send)},
        {0, nullptr},
    };
    static PyType_Spec spec = {"_asioserve.Ready", sizeof(Ready), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                                   Py_TPFLAGS_IMMUTABLETYPE,
                               slots};
    return py::must(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

py::Ref make_ready(const Shared& shared, PyObject* value) {
    return make(shared, value, nullptr);
}

py::Ref make_ready_raising(const Shared& shared, PyObject* exception) {
    return make(shared, nullptr, exception);
}

}  // namespace asioserve::app
