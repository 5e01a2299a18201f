// How Python gives a loop its callbacks, timers and tasks: argument parsing in front of LoopCore, and debug
// mode's checks.
#include "stage3_native_loop/native/core/arguments.hpp"
#include "stage3_native_loop/native/core/loop_type.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

/// Splits (first `skip` arguments, *args, context=None) as call_soon and its relatives take them.
struct Call {
    Arguments args;
    PyObject* context = nullptr;  // borrowed; null: none given

    bool parse(const char* name, ModuleState& module, PyObject* const* values, Py_ssize_t n, Py_ssize_t skip,
               PyObject* names) {
        if (names && PyTuple_GET_SIZE(names) > 0 && !parse_named(name, module, values + n, names))
            return false;
        args = {values + skip, n - skip};
        return true;
    }

    bool parse_named(const char* name, ModuleState& module, PyObject* const* values, PyObject* names) {
        // asyncio's tasks always come with the same tuple, and its name is not interned.
        if (names != module.context_names.get()) {
            for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i) {
                PyObject* given = PyTuple_GET_ITEM(names, i);
                if (PyUnicode_CompareWithASCIIString(given, "context") == 0) continue;
                PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument %R", name, given);
                return false;
            }
            module.context_names = Ref::borrow(names);
        }
        if (values[0] != Py_None) context = values[0];
        return true;
    }
};

constexpr const char* kSoon[] = {"callback"};
constexpr const char* kLater[] = {"delay", "callback"};
constexpr const char* kAt[] = {"when", "callback"};

/// In debug mode asyncio checks more and remembers where a handle was made; that part is Python's.
bool debug_check(PyObject* self, PyObject* callback, const char* method, bool check_thread) {
    if (!core(self).debug) return true;
    Ref done = Ref::steal(PyObject_CallMethod(self, "_debug_check", "OsO", callback, method,
                                              check_thread ? Py_True : Py_False));
    return static_cast<bool>(done);
}

PyObject* with_traceback(PyObject* self, PyObject* handle) {
    // None: the callback was captured, no handle was made.
    if (!core(self).debug || !handle || handle == Py_None) return handle;
    Ref h = Ref::steal(handle);
    Ref stack = Ref::steal(PyObject_CallMethod(self, "_source_traceback", nullptr));
    if (!stack) return nullptr;
    core(self).module().handles.set_source_traceback(h.get(), stack.get());
    return h.release();
}

PyObject* call_soon(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    if (n < 1) return call_by_position(&call_soon, "call_soon", kSoon, self, values, n, names);
    LoopCore& c = core(self);
    Call call;
    if (!call.parse("call_soon", c.module(), values, n, 1, names)) return nullptr;
    if (!debug_check(self, values[0], "call_soon", true)) return nullptr;
    return with_traceback(self, c.call_soon(values[0], call.args, call.context));
}

PyObject* call_soon_threadsafe(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    if (n < 1)
        return call_by_position(&call_soon_threadsafe, "call_soon_threadsafe", kSoon, self, values, n, names);
    LoopCore& c = core(self);
    Call call;
    if (!call.parse("call_soon_threadsafe", c.module(), values, n, 1, names)) return nullptr;
    if (!debug_check(self, values[0], "call_soon_threadsafe", false)) return nullptr;
    return with_traceback(self, c.call_soon_threadsafe(values[0], call.args, call.context));
}

PyObject* call_timer(PyObject* self, const char* name, bool later, PyObject* const* values, Py_ssize_t n,
                     PyObject* names) {
    LoopCore& c = core(self);
    Call call;
    if (!call.parse(name, c.module(), values, n, 2, names)) return nullptr;
    if (values[0] == Py_None) {
        PyErr_SetString(PyExc_TypeError, later ? "delay must not be None" : "when cannot be None");
        return nullptr;
    }
    double when = PyFloat_AsDouble(values[0]);
    if (when == -1.0 && PyErr_Occurred()) return nullptr;
    if (later) {
        double now = 0;
        if (!c.clock().now(now)) return nullptr;
        when += now;
    }
    if (!debug_check(self, values[1], name, true)) return nullptr;
    Ref due = Ref::steal(PyFloat_FromDouble(when));
    if (!due) return nullptr;
    return with_traceback(self, c.call_at(std::move(due), values[1], call.args, call.context));
}

PyObject* call_later(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    if (n < 2) return call_by_position(&call_later, "call_later", kLater, self, values, n, names);
    return call_timer(self, "call_later", true, values, n, names);
}

PyObject* call_at(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    if (n < 2) return call_by_position(&call_at, "call_at", kAt, self, values, n, names);
    return call_timer(self, "call_at", false, values, n, names);
}

PyObject* loop_time(PyObject*, PyObject*) {
    return PyFloat_FromDouble(LoopCore::time());
}

PyObject* timer_cancelled(PyObject* self, PyObject* timer) {
    const HandleClass& handles = core(self).module().handles;
    if (PyObject_TypeCheck(timer, reinterpret_cast<PyTypeObject*>(handles.timer_type())))
        core(self).timer_cancelled(timer);
    return new_reference(Py_None);
}

PyObject* add_callback(PyObject* self, PyObject* handle) {
    const HandleClass& handles = core(self).module().handles;
    if (!PyObject_TypeCheck(handle, reinterpret_cast<PyTypeObject*>(handles.handle_type()))) {
        PyErr_Format(PyExc_TypeError, "an asyncio.Handle is needed, not %R", handle);
        return nullptr;
    }
    if (!handles.cancelled(handle)) core(self).push_ready({new_reference(handle), nullptr, false});
    return new_reference(Py_None);
}

PyObject* create_task(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    LoopCore& c = core(self);
    return c.module().tasks.make(c, values, n, names);
}

PyMethodDef methods[] = {
    {"call_soon", as_method(&call_soon), METH_FASTCALL | METH_KEYWORDS,
     "call_soon($self, callback, *args, context=None)\n--\n\nRun the callback in the next turn of the loop. "
     "Loop's "
     "thread only."},
    {"call_soon_threadsafe", as_method(&call_soon_threadsafe), METH_FASTCALL | METH_KEYWORDS,
     "call_soon_threadsafe($self, callback, *args, context=None)\n--\n\nLike call_soon, from any thread; one "
     "wake-up however many calls."},
    {"call_later", as_method(&call_later), METH_FASTCALL | METH_KEYWORDS,
     "call_later($self, delay, callback, *args, context=None)\n--\n\nRun the callback after delay seconds, "
     "never "
     "early."},
    {"call_at", as_method(&call_at), METH_FASTCALL | METH_KEYWORDS,
     "call_at($self, when, callback, *args, context=None)\n--\n\nRun the callback at `when` on the loop's "
     "clock "
     "(time())."},
    {"create_task", as_method(&create_task), METH_FASTCALL | METH_KEYWORDS,
     "create_task($self, coro, **kwargs)\n--\n\nMake a task of a coroutine."},
    {"time", &loop_time, METH_NOARGS,
     "time($self)\n--\n\nSeconds on the loop's clock, which is time.monotonic()'s."},
    {"_timer_handle_cancelled", &timer_cancelled, METH_O, "asyncio.TimerHandle.cancel() calls this."},
    {"_add_callback", &add_callback, METH_O, "Queue a handle that is made already, unless it is cancelled."},
};

}  // namespace

std::span<const PyMethodDef> scheduling_methods() {
    // Another one than that which this was compiled for: 3.13.3 lets a task factory have arguments of its
    // own.
    for (PyMethodDef& method : methods)
        if (Py_Version < 0x030D0300 && method.ml_meth == as_method(&create_task))
            method.ml_doc =
                "create_task($self, coro, *, name=None, context=None)\n--\n\nMake a task of a coroutine.";
    return methods;
}

}  // namespace asioloop
