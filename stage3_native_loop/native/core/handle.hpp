// Native access to asyncio.Handle and asyncio.TimerHandle: made without __init__, run without _run().
//
// The handles are instances of asyncio's own classes, so that every program that looks at one finds what it
// expects. Their fields are __slots__, whose offsets the class itself tells. GIL: held everywhere.
#pragma once

#include <utility>

#include "common/python/ref.hpp"

namespace asioloop {

/// The classes and the offsets of their slots; one per module.
class HandleClass {
  public:
    /// Imports asyncio.events. False with an exception set on failure.
    bool load();

    /// A new asyncio.Handle. `args` is a tuple; `context` null takes a copy of the current one.
    asioserve::py::Ref make(PyObject* loop, PyObject* callback, PyObject* args, PyObject* context) const;
    /// Of which type call_soon_threadsafe's are: a subclass of asyncio.Handle, or None: the class itself.
    void use_for_threads(asioserve::py::Ref type);
    /// Of which type timers are: a subclass of asyncio.TimerHandle.
    void use_for_timers(asioserve::py::Ref type) { timer_ = std::move(type); }

    /// A handle that fill() may fill. Null with an exception set.
    PyObject* allocate(PyObject* type) const;
    /// Fills one that is as allocate() or empty() left it.
    void fill(PyObject* handle, PyObject* loop, PyObject* callback, asioserve::py::Ref args,
              asioserve::py::Ref context) const {
        using asioserve::py::Ref;
        put(handle, callback_, Ref::borrow(callback));
        put(handle, args_, std::move(args));
        put(handle, loop_, Ref::borrow(loop));
        put(handle, context_, std::move(context));
    }
    /// The same for what a timer has besides.
    void fill_timer(PyObject* timer, asioserve::py::Ref when) const {
        put(timer, when_, std::move(when));
        put(timer, scheduled_, asioserve::py::Ref::borrow(Py_True));
    }
    /// What a handle lets go of when it is done.
    struct Fields {
        /// In the order in which they go.
        /// @{
        asioserve::py::Ref callback, args, loop, context;
        /// @}
    };
    /// Takes out what fill() puts in. The handle is nobody else's, and nobody sees it but the collector: what
    /// is left is None.
    Fields empty(PyObject* handle) const {
        using asioserve::py::Ref;
        Fields gone{take(handle, callback_), take(handle, args_), take(handle, loop_),
                    take(handle, context_)};
        if (cancelled(handle)) put(handle, cancelled_, Ref::borrow(Py_False));
        if (slot(handle, traceback_) != Py_None) put(handle, traceback_, Ref::borrow(Py_None));
        if (slot(handle, repr_) != Py_None) put(handle, repr_, Ref::borrow(Py_None));
        return gone;
    }
    /// Puts back what empty() has taken out, for the next that is made of this handle.
    void keep(PyObject* handle, asioserve::py::Ref args, asioserve::py::Ref context) const {
        if (args) put(handle, args_, std::move(args));
        if (context) put(handle, context_, std::move(context));
    }
    /// Whether somebody has a weak reference to it.
    bool weakly_referenced(PyObject* handle) const noexcept { return slot(handle, weak_) != nullptr; }

    /// Whether cancel() was called.
    bool cancelled(PyObject* handle) const noexcept { return slot(handle, cancelled_) == Py_True; }
    /// Borrowed; None once it is cancelled.
    PyObject* callback(PyObject* handle) const noexcept { return slot(handle, callback_); }
    /// The tuple, borrowed.
    PyObject* args(PyObject* handle) const noexcept { return slot(handle, args_); }
    /// Borrowed.
    PyObject* context(PyObject* handle) const noexcept { return slot(handle, context_); }
    /// Borrowed.
    PyObject* loop(PyObject* handle) const noexcept { return slot(handle, loop_); }
    /// cancelled() is true from now on.
    void mark_cancelled(PyObject* handle) const;
    /// Lets go of callback and arguments; `text`: what repr() says of it from now on, or empty.
    void forget(PyObject* handle, asioserve::py::Ref text) const;
    /// What TimerHandle.cancel() looks at to tell the loop.
    void set_scheduled(PyObject* timer, bool on) const;
    /// For debug mode: where it was scheduled.
    void set_source_traceback(PyObject* handle, PyObject* stack) const;
    /// Whether it is an asyncio.TimerHandle.
    bool is_timer(PyObject* handle) const noexcept;
    /// asyncio.Handle. Borrowed.
    PyObject* handle_type() const noexcept { return handle_.get(); }
    /// See use_for_timers(). Borrowed.
    PyObject* timer_type() const noexcept { return timer_.get(); }
    /// See use_for_threads(). Borrowed.
    PyObject* safe_type() const noexcept { return safe_.get(); }
    /// Whether it is a timer that has neither run nor been swept out.
    bool scheduled(PyObject* timer) const noexcept { return slot(timer, scheduled_) == Py_True; }

    /// For tp_traverse of who has it.
    int traverse(visitproc visit, void* arg) const {
        for (const asioserve::py::Ref* type : {&handle_, &timer_, &safe_}) Py_VISIT(type->get());
        return 0;
    }

  private:
    static PyObject*& slot(PyObject* o, Py_ssize_t offset) noexcept {
        return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(o) + offset);
    }
    static void put(PyObject* o, Py_ssize_t offset, asioserve::py::Ref value) {
        // Let go of last: its end may run code that looks at the handle.
        [[maybe_unused]] const asioserve::py::Ref old =
            asioserve::py::Ref::steal(std::exchange(slot(o, offset), value.release()));
    }
    static asioserve::py::Ref take(PyObject* o, Py_ssize_t offset) noexcept {
        return asioserve::py::Ref::steal(
            std::exchange(slot(o, offset), asioserve::py::new_reference(Py_None)));
    }

    asioserve::py::Ref handle_;
    asioserve::py::Ref timer_;
    asioserve::py::Ref safe_;
    Py_ssize_t callback_ = 0, args_ = 0, cancelled_ = 0, loop_ = 0, traceback_ = 0, repr_ = 0, context_ = 0;
    Py_ssize_t when_ = 0, scheduled_ = 0, weak_ = 0;
};

}  // namespace asioloop
