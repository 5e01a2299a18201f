#include "stage3_native_loop/native/core/safe_handle.hpp"

#include "stage3_native_loop/native/core/module.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

/// Under the GIL from its return on, no turn of the loop comes between: what is not running now has not
/// begun.
void wait_while_running(const HandleClass& handles, PyObject* self) {
    if (LoopCore* core = core_of(handles.loop(self))) core->wait_for(self);
}

PyObject* cancel(PyObject* self, PyObject*) {
    const ModuleState* module = state_of(Py_TYPE(self));
    if (!module) return nullptr;
    const HandleClass& handles = module->handles;
    // The loop may die with this handle.
    Ref keep = Ref::borrow(handles.loop(self));
    wait_while_running(handles, self);
    if (!handles.cancelled(self)) {
        Ref text;
        LoopCore* core = core_of(keep.get());
        handles.mark_cancelled(self);
        if (core && core->debug) {
            text = Ref::steal(PyObject_Repr(self));
            if (!text) return nullptr;
        }
        handles.forget(self, std::move(text));
    }
    return new_reference(Py_None);
}

PyObject* cancelled(PyObject* self, PyObject*) {
    const ModuleState* module = state_of(Py_TYPE(self));
    if (!module) return nullptr;
    const HandleClass& handles = module->handles;
    Ref keep = Ref::borrow(handles.loop(self));
    wait_while_running(handles, self);
    return PyBool_FromLong(handles.cancelled(self));
}

PyMethodDef methods[] = {
    {"cancel", &cancel, METH_NOARGS,
     "cancel($self)\n--\n\nKeep the callback from running. While it runs, another thread waits for its end."},
    {"cancelled", &cancelled, METH_NOARGS,
     "cancelled($self)\n--\n\nTrue after cancel(). While the callback runs, another thread waits for its "
     "end."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("What call_soon_threadsafe returns.")},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {"_asioloop._ThreadSafeHandle", 0, 0, Py_TPFLAGS_DEFAULT, slots};

}  // namespace

Ref make_safe_handle_type(PyObject* module) {
    Ref events = Ref::steal(PyImport_ImportModule("asyncio.events"));
    if (!events) return {};
    Ref base = Ref::steal(PyObject_GetAttrString(events.get(), "_ThreadSafeHandle"));
    if (!base) {
        PyErr_Clear();
        return Ref::borrow(Py_None);
    }
    return Ref::steal(PyType_FromModuleAndSpec(module, &spec, base.get()));
}

}  // namespace asioloop
