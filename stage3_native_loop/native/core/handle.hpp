// Native access to asyncio.Handle and asyncio.TimerHandle: made without __init__, run without _run().
//
// The handles are instances of asyncio's own classes, so that every program that looks at one finds what it
// expects. Their fields are __slots__, whose offsets the class itself tells. GIL: held everywhere.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

/// The classes and the offsets of their slots; one per module.
class HandleClass {
  public:
    /// Imports asyncio.events. False with an exception set on failure.
    bool load();

    /// A new asyncio.Handle. `args` is a tuple; `context` null takes a copy of the current one.
    asioserve::py::Ref make(PyObject* loop, PyObject* callback, PyObject* args, PyObject* context) const;
    /// The same for call_soon_threadsafe: of the type that use_for_threads() was given.
    asioserve::py::Ref make_safe(PyObject* loop, PyObject* callback, PyObject* args, PyObject* context) const;
    /// A subclass of asyncio.Handle, or None: the class itself.
    void use_for_threads(asioserve::py::Ref type);
    /// A new asyncio.TimerHandle that is not scheduled yet.
    asioserve::py::Ref make_timer(PyObject* loop, double when, PyObject* callback, PyObject* args,
                                  PyObject* context) const;

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

  private:
    static PyObject*& slot(PyObject* o, Py_ssize_t offset) noexcept {
        return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(o) + offset);
    }
    static void put(PyObject* o, Py_ssize_t offset, asioserve::py::Ref value);
    asioserve::py::Ref make_of(PyObject* type, PyObject* loop, PyObject* callback, PyObject* args,
                               PyObject* context) const;
    bool fill(PyObject* h, PyObject* loop, PyObject* callback, PyObject* args, PyObject* context) const;

    asioserve::py::Ref handle_;
    asioserve::py::Ref timer_;
    asioserve::py::Ref safe_;
    Py_ssize_t callback_ = 0, args_ = 0, cancelled_ = 0, loop_ = 0, traceback_ = 0, repr_ = 0, context_ = 0;
    Py_ssize_t when_ = 0, scheduled_ = 0;
};

}  // namespace asioloop
