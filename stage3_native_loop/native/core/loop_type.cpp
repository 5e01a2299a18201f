// The Python type _asioloop.LoopCore, for asioloop.Loop to derive from: its life, how it is run, and what it
// is asked about itself.
#include "stage3_native_loop/native/core/loop_type.hpp"

#include <vector>

#include "stage3_native_loop/native/core/module.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

PyObject* loop_new(PyTypeObject* type, PyObject*, PyObject*) {
    ModuleState* module = state_of(type);
    if (!module) return nullptr;
    Ref self = Ref::steal(type->tp_alloc(type, 0));
    if (!self) return nullptr;
    // A factory that wants its own io_context sets it on the class it makes: `_io` is a capsule or missing.
    asio::io_context* io = nullptr;
    if (Ref capsule = Ref::steal(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), "_io")); capsule) {
        io = static_cast<asio::io_context*>(PyCapsule_GetPointer(capsule.get(), kIoCapsule));
        if (!io) return nullptr;
    } else {
        PyErr_Clear();
    }
    try {
        new (reinterpret_cast<LoopObject*>(self.get())->storage) LoopCore(*module, self.get(), io);
    } catch (const std::exception& e) {
        PyErr_SetString(PyExc_OSError, e.what());
        return nullptr;
    }
    reinterpret_cast<LoopObject*>(self.get())->constructed = true;
    return self.release();
}

int loop_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    return reinterpret_cast<LoopObject*>(self)->constructed ? core(self).traverse(visit, arg) : 0;
}

int loop_clear(PyObject* self) {
    if (reinterpret_cast<LoopObject*>(self)->constructed) core(self).clear_references();
    return 0;
}

void loop_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    loop_clear(self);
    if (reinterpret_cast<LoopObject*>(self)->constructed && !core(self).orphaned()) core(self).~LoopCore();
    type->tp_free(self);
    asioserve::py::drop(reinterpret_cast<PyObject*>(type));
}

int set_attribute(PyObject* self, PyObject* name, PyObject* value) {
    if (PyObject_GenericSetAttr(self, name, value) < 0) return -1;
    if (PyUnicode_CompareWithASCIIString(name, "time") == 0)
        core(self).clock().own_attribute(value != nullptr);
    return 0;
}

PyObject* run_core(PyObject* self, PyObject*) {
    return core(self).run() ? new_reference(Py_None) : nullptr;
}

PyObject* run_once(PyObject* self, PyObject*) {
    return core(self).run(true) ? new_reference(Py_None) : nullptr;
}

PyObject* stop(PyObject* self, PyObject*) {
    core(self).stop();
    return new_reference(Py_None);
}

PyObject* get_stopping(PyObject* self, void*) {
    return PyBool_FromLong(core(self).stopping());
}

int set_stopping(PyObject* self, PyObject* on, void*) {
    const int truth = on ? PyObject_IsTrue(on) : 0;
    if (truth >= 0) core(self).stop(truth != 0);
    return truth < 0 ? -1 : 0;
}

PyObject* get_debug(PyObject* self, PyObject*) {
    return PyBool_FromLong(core(self).debug);
}

PyObject* set_core_debug(PyObject* self, PyObject* on) {
    const int truth = PyObject_IsTrue(on);
    if (truth < 0) return nullptr;
    core(self).debug = truth != 0;
    return new_reference(Py_None);
}

template <double LoopCore::*seconds>
PyObject* get_seconds(PyObject* self, void*) {
    return PyFloat_FromDouble(core(self).*seconds);
}

template <double LoopCore::*seconds>
int set_seconds(PyObject* self, PyObject* value, void*) {
    if (!value) return PyErr_SetString(PyExc_AttributeError, "it cannot be deleted"), -1;
    const double given = PyFloat_AsDouble(value);
    if (given == -1.0 && PyErr_Occurred()) return -1;
    core(self).*seconds = given;
    return 0;
}

PyObject* set_core_task_factory(PyObject* self, PyObject* on) {
    const int truth = PyObject_IsTrue(on);
    if (truth < 0) return nullptr;
    core(self).has_task_factory = truth != 0;
    return new_reference(Py_None);
}

PyObject* close_core(PyObject* self, PyObject*) {
    core(self).close();
    return new_reference(Py_None);
}

PyObject* forked(PyObject* self, PyObject*) {
    core(self).forked();
    return new_reference(Py_None);
}

PyObject* get_is_parents(PyObject* self, void*) {
    return PyBool_FromLong(core(self).is_parents());
}

PyObject* check_open(PyObject* self, PyObject*) {
    if (core(self).closed()) return core(self).closed_error(), nullptr;
    return new_reference(Py_None);
}

void let_go_of_life(PyObject* capsule) {
    delete static_cast<std::shared_ptr<LoopLife>*>(PyCapsule_GetContext(capsule));
}

PyObject* io_context(PyObject* self, PyObject*) {
    if (core(self).closed()) return core(self).closed_error(), nullptr;
    auto life = std::make_unique<std::shared_ptr<LoopLife>>(core(self).life());
    Ref capsule = Ref::steal(PyCapsule_New(&core(self).io(), kIoCapsule, let_go_of_life));
    if (!capsule || PyCapsule_SetContext(capsule.get(), life.get()) < 0) return nullptr;
    [[maybe_unused]] auto* const owned_by_the_capsule = life.release();
    return capsule.release();
}

PyObject* get_metrics(PyObject* self, PyObject*) {
    return metrics_of(core(self));
}

PyMethodDef own_methods[] = {
    {"stop", &stop, METH_NOARGS, "stop($self)\n--\n\nEnd run_forever() after the turn under way."},
    {"get_debug", &get_debug, METH_NOARGS, "get_debug($self)\n--\n\nTrue in debug mode."},
    {"io_context", &io_context, METH_NOARGS,
     "io_context($self)\n--\n\nA capsule with the asio::io_context* that the loop is, which lives as long as "
     "the "
     "capsule.\n\nIts name is '_asioloop.io_context'. For C++ that links the same copy of Asio."},
    {"_run_core", &run_core, METH_NOARGS, "Turn until stop()."},
    {"_run_once", &run_once, METH_NOARGS, "One turn, for a loop class with a run_forever() of its own."},
    {"_set_core_debug", &set_core_debug, METH_O, "(debug)"},
    {"_set_core_task_factory", &set_core_task_factory, METH_O, "(in_use)"},
    {"_close_core", &close_core, METH_NOARGS, "Forget all callbacks, timers and descriptors."},
    {"_forked", &forked, METH_NOARGS, "Tells it that this is a forked child."},
    {"_check_open", &check_open, METH_NOARGS, "RuntimeError: the loop is closed, or its parent's."},
    {"_metrics", &get_metrics, METH_NOARGS, "What metrics() is made of."},
};

PyObject* get_gather_writes(PyObject* self, void*) {
    return PyBool_FromLong(core(self).gathered().wanted);
}

int set_gather_writes(PyObject* self, PyObject* value, void*) {
    if (!value) return PyErr_SetString(PyExc_AttributeError, "can't delete attribute"), -1;
    const int on = PyObject_IsTrue(value);
    if (on >= 0) core(self).gathered().wanted = on != 0;
    return on < 0 ? -1 : 0;
}

PyGetSetDef properties[] = {
    {"_stopping", &get_stopping, &set_stopping, "stop() was called: asyncio's own name for it.", nullptr},
    {"_is_parents", &get_is_parents, nullptr, "This is a forked child, and the loop its parent's.", nullptr},
    {"slow_callback_duration", &get_seconds<&LoopCore::slow_callback_duration>,
     &set_seconds<&LoopCore::slow_callback_duration>,
     "Seconds from which on a callback is slow: debug mode logs it.", nullptr},
    {"slow_iteration_duration", &get_seconds<&LoopCore::slow_iteration_duration>,
     &set_seconds<&LoopCore::slow_iteration_duration>,
     "Seconds from which on an iteration is slow of which no callback is: debug mode logs it.", nullptr},
    {"gather_writes", &get_gather_writes, &set_gather_writes,
     "True: small writes of stream transports are sent at the end of the turn, all in one. False, from the "
     "next turn on: each is sent at once, as asyncio does.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

/// All of them in one table. The type keeps its address.
PyMethodDef* all_methods() {
    static std::vector<PyMethodDef> all = [] {
        std::vector<PyMethodDef> joined;
        for (const std::span<const PyMethodDef> part :
             {scheduling_methods(), watch_methods(), std::span<const PyMethodDef>(own_methods)})
            joined.insert(joined.end(), part.begin(), part.end());
        joined.push_back({nullptr, nullptr, 0, nullptr});
        return joined;
    }();
    return all.data();
}

}  // namespace

PyObject* make_loop_type(PyObject* module) {
    PyType_Slot slots[] = {
        {Py_tp_doc,
         const_cast<char*>("The native part of asioloop.Loop: turn, timers, callbacks, file descriptors.")},
        {Py_tp_new, reinterpret_cast<void*>(&loop_new)},
        {Py_tp_dealloc, reinterpret_cast<void*>(&loop_dealloc)},
        {Py_tp_traverse, reinterpret_cast<void*>(&loop_traverse)},
        {Py_tp_clear, reinterpret_cast<void*>(&loop_clear)},
        {Py_tp_setattro, reinterpret_cast<void*>(&set_attribute)},
        {Py_tp_methods, all_methods()},
        {Py_tp_getset, properties},
        {0, nullptr},
    };
    PyType_Spec spec = {
        "_asioloop.LoopCore",
        sizeof(LoopObject),
        0,
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        slots,
    };
    return PyType_FromModuleAndSpec(module, &spec, nullptr);
}

LoopCore* core_of(const ModuleState& module, PyObject* loop) noexcept {
    if (!loop || !PyObject_TypeCheck(loop, reinterpret_cast<PyTypeObject*>(module.loop_type.get())))
        return nullptr;
    return &core(loop);
}

LoopCore* core_of(PyObject* loop) {
    ModuleState* module = state_of(Py_TYPE(loop));
    if (!module) {
        PyErr_Clear();
        return nullptr;
    }
    return &core(loop);
}

}  // namespace asioloop
