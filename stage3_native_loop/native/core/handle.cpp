#include "stage3_native_loop/native/core/handle.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

bool offset_of(PyObject* type, const char* name, Py_ssize_t& offset) {
    Ref descriptor = Ref::steal(PyObject_GetAttrString(type, name));
    if (!descriptor) return false;
    if (!Py_IS_TYPE(descriptor.get(), &PyMemberDescr_Type)) {
        PyErr_Format(PyExc_ImportError, "asyncio's handle keeps %s in an unknown way", name);
        return false;
    }
    offset = reinterpret_cast<PyMemberDescrObject*>(descriptor.get())->d_member->offset;
    return true;
}

}  // namespace

bool HandleClass::load() {
    Ref events = Ref::steal(PyImport_ImportModule("asyncio.events"));
    if (!events) return false;
    handle_ = Ref::steal(PyObject_GetAttrString(events.get(), "Handle"));
    timer_ = Ref::steal(PyObject_GetAttrString(events.get(), "TimerHandle"));
    if (!handle_ || !timer_) return false;
    PyObject* h = handle_.get();
    weak_ = reinterpret_cast<PyTypeObject*>(h)->tp_weaklistoffset;
    if (weak_ == 0) {
        PyErr_SetString(PyExc_ImportError, "asyncio's handle cannot be referred to weakly");
        return false;
    }
    return offset_of(h, "_callback", callback_) && offset_of(h, "_args", args_) &&
           offset_of(h, "_cancelled", cancelled_) && offset_of(h, "_loop", loop_) &&
           offset_of(h, "_source_traceback", traceback_) && offset_of(h, "_repr", repr_) &&
           offset_of(h, "_context", context_) && offset_of(timer_.get(), "_when", when_) &&
           offset_of(timer_.get(), "_scheduled", scheduled_);
}

PyObject* HandleClass::allocate(PyObject* type) const {
    PyObject* h = PyType_GenericAlloc(reinterpret_cast<PyTypeObject*>(type), 0);
    if (!h) return nullptr;
    slot(h, cancelled_) = new_reference(Py_False);
    for (const Py_ssize_t offset : {callback_, args_, loop_, context_, traceback_, repr_})
        slot(h, offset) = new_reference(Py_None);
    if (type == timer_.get()) {
        slot(h, when_) = new_reference(Py_None);
        slot(h, scheduled_) = new_reference(Py_False);
    }
    return h;
}

Ref HandleClass::make(PyObject* loop, PyObject* callback, PyObject* args, PyObject* context) const {
    Ref variables = context ? Ref::borrow(context) : Ref::steal(PyContext_CopyCurrent());
    Ref h = variables ? Ref::steal(allocate(handle_.get())) : Ref();
    if (h) fill(h.get(), loop, callback, Ref::borrow(args), std::move(variables));
    return h;
}

void HandleClass::use_for_threads(Ref type) {
    safe_ = type.get() == Py_None ? handle_ : std::move(type);
}

void HandleClass::mark_cancelled(PyObject* handle) const {
    put(handle, cancelled_, Ref::borrow(Py_True));
}

void HandleClass::forget(PyObject* handle, Ref text) const {
    if (text) put(handle, repr_, std::move(text));
    put(handle, callback_, Ref::borrow(Py_None));
    put(handle, args_, Ref::borrow(Py_None));
}

void HandleClass::set_scheduled(PyObject* timer, bool on) const {
    put(timer, scheduled_, Ref::borrow(on ? Py_True : Py_False));
}

void HandleClass::set_source_traceback(PyObject* handle, PyObject* stack) const {
    put(handle, traceback_, Ref::borrow(stack));
}

bool HandleClass::is_timer(PyObject* handle) const noexcept {
    return PyObject_TypeCheck(handle, reinterpret_cast<PyTypeObject*>(timer_.get()));
}

}  // namespace asioloop
