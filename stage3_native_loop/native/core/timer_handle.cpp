#include "stage3_native_loop/native/core/timer_handle.hpp"

#include "stage3_native_loop/native/core/module.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

PyObject* cancel(PyObject* self, PyObject*) {
    // None once the collector has cleared the type.
    const auto* module = static_cast<ModuleState*>(PyType_GetModuleState(Py_TYPE(self)));
    if (!module) return nullptr;
    const HandleClass& handles = module->handles;
    if (handles.cancelled(self)) return new_reference(Py_None);
    // The loop may die with what the timer holds.
    Ref loop = Ref::borrow(handles.loop(self));
    LoopCore* core = core_of(*module, loop.get());
    if (core) core->timer_cancelled(self);
    handles.mark_cancelled(self);
    Ref text;
    if (core && core->debug) {
        text = Ref::steal(PyObject_Repr(self));
        if (!text) return nullptr;
    }
    handles.forget(self, std::move(text));
    return new_reference(Py_None);
}

PyMethodDef methods[] = {
    {"cancel", &cancel, METH_NOARGS, "cancel($self)\n--\n\nKeep the callback from running."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("What call_later and call_at return.")},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {"_asioloop.TimerHandle", 0, 0, Py_TPFLAGS_DEFAULT, slots};

}  // namespace

Ref make_timer_handle_type(PyObject* module, const HandleClass& handles) {
    return Ref::steal(PyType_FromModuleAndSpec(module, &spec, handles.timer_type()));
}

}  // namespace asioloop
