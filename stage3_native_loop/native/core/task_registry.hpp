// The set that asyncio.all_tasks() reads. To CPython 3.13 it is a WeakSet, whose add() is Python code that
// every new task pays for, and whose removal is Python code that every dying task pays for: about a
// microsecond together. While a registry is attached both are done here, on asyncio's own set.
//
// It is the process's set: who attaches first keeps it, the others see that it is kept and do nothing.
//
// Threads: GIL held.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

class TaskRegistry {
  public:
    /// Takes over from asyncio, or from another registry. False with an exception set.
    bool attach();
    /// Gives add() back to asyncio, unless another registry has taken over. Tasks that are listed stay so
    /// until they die.
    void detach();
    /// Whether some registry is attached, or asyncio needs none. GIL held.
    static bool somebody_attached();

    /// While on, tasks that are being made do not list themselves.
    void quiet(bool on) noexcept;
    /// What list() and unlist() take for a task that was made while quiet, and that is not listed: to 3.13 a
    /// weak reference. Null with an exception set.
    asioserve::py::Ref token(PyObject* task);
    /// all_tasks() shows the task. An error is reported, not raised.
    void list(PyObject* token);
    /// all_tasks() does not show it.
    void unlist(PyObject* token);

  private:
    struct Set;
    Set* set_ = nullptr;  // to 3.13 owned by the functions made for it, which may outlive us
};

/// One registry for all loops that run: attached while there are any.
class SharedTaskRegistry {
  public:
    /// A loop begins to run.
    void enter();
    /// It has ended.
    void leave();

  private:
    TaskRegistry registry_;
    int loops_ = 0;
    bool attached_ = false;
};

}  // namespace asioloop
