// The Python type _asioloop.LoopCore: argument parsing in front of LoopCore, for asioloop.Loop to derive
// from.
#include <climits>
#include <cstddef>
#include <new>

#include "stage3_native_loop/native/core/arguments.hpp"
#include "stage3_native_loop/native/core/module.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

struct LoopObject {
    PyObject_HEAD alignas(LoopCore) std::byte storage[sizeof(LoopCore)];
    bool constructed;
};

LoopCore& core(PyObject* self) {
    return *std::launder(reinterpret_cast<LoopCore*>(reinterpret_cast<LoopObject*>(self)->storage));
}

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

PyObject* add_callback(PyObject* self, PyObject* handle) {
    const HandleClass& handles = state_of(Py_TYPE(self))->handles;
    if (!PyObject_TypeCheck(handle, reinterpret_cast<PyTypeObject*>(handles.handle_type()))) {
        PyErr_Format(PyExc_TypeError, "an asyncio.Handle is needed, not %R", handle);
        return nullptr;
    }
    if (!handles.cancelled(handle)) core(self).push_ready({new_reference(handle), nullptr, false});
    return new_reference(Py_None);
}

/// As module selectors takes a file: a number, or an object whose fileno() can be made one. -1 with a
/// ValueError.
int descriptor_of(PyObject* file) {
    Ref number =
        PyLong_Check(file) ? Ref::borrow(file) : Ref::steal(PyObject_CallMethod(file, "fileno", nullptr));
    if (number) number = Ref::steal(PyNumber_Long(number.get()));
    const long fd = number ? PyLong_AsLong(number.get()) : -1;
    if (fd == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_TypeError) ||
            PyErr_ExceptionMatches(PyExc_ValueError) || PyErr_ExceptionMatches(PyExc_OverflowError))
            PyErr_Format(PyExc_ValueError, "Invalid file object: %R", file);
        return -1;
    }
    if (fd < 0 || fd > INT_MAX) {
        PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %ld", fd);
        return -1;
    }
    return static_cast<int>(fd);
}

/// The same for a file that may be closed already: whoever closes a socket first must still be able to
/// remove its callbacks.
int watched_descriptor_of(PyObject* self, PyObject* file) {
    int fd = descriptor_of(file);
    if (fd < 0 && PyErr_ExceptionMatches(PyExc_ValueError)) {
        const int known = core(self).watches().descriptor_of(file);
        if (known >= 0) {
            PyErr_Clear();
            fd = known;
        }
    }
    return fd;
}

PyObject* set_watch(PyObject* self, PyObject* const* values, Py_ssize_t n, bool write) {
    if (n < 2) {
        PyErr_SetString(PyExc_TypeError, "a file descriptor and a callback are needed");
        return nullptr;
    }
    const int fd = descriptor_of(values[0]);
    if (fd < 0) return nullptr;
    if (core(self).closed()) return core(self).closed_error(), nullptr;
    ModuleState& module = *state_of(Py_TYPE(self));
    Call call;
    if (!call.parse("add_reader", module, values, n, 2, nullptr)) return nullptr;
    Ref args = Ref::steal(PyTuple_New(call.args.count));
    for (Py_ssize_t i = 0; args && i < call.args.count; ++i)
        PyTuple_SET_ITEM(args.get(), i, new_reference(call.args.values[i]));
    Ref handle = args ? module.handles.make(self, values[1], args.get(), nullptr) : Ref();
    if (!handle) return nullptr;
    Ref result = handle;
    if (!core(self).watches().set(fd, values[0], write, std::move(handle))) return nullptr;
    return result.release();
}

PyObject* add_reader(PyObject* self, PyObject* const* v, Py_ssize_t n) {
    return set_watch(self, v, n, false);
}
PyObject* add_writer(PyObject* self, PyObject* const* v, Py_ssize_t n) {
    return set_watch(self, v, n, true);
}

PyObject* remove_watch(PyObject* self, PyObject* file, bool write) {
    if (core(self).closed()) return new_reference(Py_False);
    const int fd = watched_descriptor_of(self, file);
    if (fd < 0) return nullptr;
    return PyBool_FromLong(core(self).watches().remove(fd, write));
}

PyObject* watched(PyObject* self, PyObject* file) {
    const int fd = watched_descriptor_of(self, file);
    if (fd < 0) return nullptr;
    const FdWatch* watch = core(self).watches().find(fd);
    PyObject* reader = watch ? watch->reader.handle : nullptr;
    PyObject* writer = watch ? watch->writer.handle : nullptr;
    return PyTuple_Pack(2, reader ? reader : Py_None, writer ? writer : Py_None);
}

PyObject* remove_reader(PyObject* self, PyObject* file) {
    return remove_watch(self, file, false);
}
PyObject* remove_writer(PyObject* self, PyObject* file) {
    return remove_watch(self, file, true);
}

PyObject* create_task(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    LoopCore& c = core(self);
    return c.module().tasks.make(c, values, n, names);
}

PyObject* get_metrics(PyObject* self, PyObject*) {
    return metrics_of(core(self));
}

template <class F>
PyCFunction as_method(F f) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
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
    {"stop", &stop, METH_NOARGS, "stop($self)\n--\n\nEnd run_forever() after the turn under way."},
    {"get_debug", &get_debug, METH_NOARGS, "get_debug($self)\n--\n\nTrue in debug mode."},
    {"io_context", &io_context, METH_NOARGS,
     "io_context($self)\n--\n\nA capsule with the asio::io_context* that the loop is, which lives as long as "
     "the "
     "capsule.\n\nIts name is '_asioloop.io_context'. For C++ that links the same copy of Asio."},
    {"_timer_handle_cancelled", &timer_cancelled, METH_O, "asyncio.TimerHandle.cancel() calls this."},
    {"_run_core", &run_core, METH_NOARGS, "Turn until stop()."},
    {"_run_once", &run_once, METH_NOARGS, "One turn, for a loop class with a run_forever() of its own."},
    {"_watched", &watched, METH_O,
     "_watched($self, file, /)\n--\n\n(reader, writer): the handles that wait for a file; None for none."},
    {"_set_core_debug", &set_core_debug, METH_O, "(debug)"},
    {"_set_core_task_factory", &set_core_task_factory, METH_O, "(in_use)"},
    {"_close_core", &close_core, METH_NOARGS, "Forget all callbacks, timers and descriptors."},
    {"_forked", &forked, METH_NOARGS, "Tells it that this is a forked child."},
    {"_check_open", &check_open, METH_NOARGS, "RuntimeError: the loop is closed, or its parent's."},
    {"_metrics", &get_metrics, METH_NOARGS, "What metrics() is made of."},
    {"_add_callback", &add_callback, METH_O, "Queue a handle that is made already, unless it is cancelled."},
    {"_add_reader", as_method(&add_reader), METH_FASTCALL, "_add_reader(fd, callback, *args) -> Handle"},
    {"_add_writer", as_method(&add_writer), METH_FASTCALL, "_add_writer(fd, callback, *args) -> Handle"},
    {"_remove_reader", &remove_reader, METH_O, "_remove_reader(fd) -> bool"},
    {"_remove_writer", &remove_writer, METH_O, "_remove_writer(fd) -> bool"},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"_stopping", &get_stopping, &set_stopping, "stop() was called: asyncio's own name for it.", nullptr},
    {"_is_parents", &get_is_parents, nullptr, "This is a forked child, and the loop its parent's.", nullptr},
    {"slow_callback_duration", &get_seconds<&LoopCore::slow_callback_duration>,
     &set_seconds<&LoopCore::slow_callback_duration>,
     "Seconds from which on a callback is slow: debug mode logs it.", nullptr},
    {"slow_iteration_duration", &get_seconds<&LoopCore::slow_iteration_duration>,
     &set_seconds<&LoopCore::slow_iteration_duration>,
     "Seconds from which on an iteration is slow of which no callback is: debug mode logs it.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("The native part of asioloop.Loop: turn, timers, callbacks, file descriptors.")},
    {Py_tp_new, reinterpret_cast<void*>(&loop_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&loop_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(&loop_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(&loop_clear)},
    {Py_tp_setattro, reinterpret_cast<void*>(&set_attribute)},
    {Py_tp_methods, methods},
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

}  // namespace

PyObject* make_loop_type(PyObject* module) {
    // Another one than that which this was compiled for: 3.13.3 lets a task factory have arguments of its
    // own.
    for (PyMethodDef& method : methods)
        if (Py_Version < 0x030D0300 && method.ml_meth == as_method(&create_task))
            method.ml_doc =
                "create_task($self, coro, *, name=None, context=None)\n--\n\nMake a task of a coroutine.";
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
