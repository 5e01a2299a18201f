// loop.create_task() in the usual case (no factory, no debug mode) without a frame of Python: the arguments
// of every task but its coroutine are the same, and are made once.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

class LoopCore;

/// What LoopCore keeps for it. GIL held.
class TaskMaker {
  public:
    /// asyncio's own create_task() and its module. False with an exception set.
    bool load();

    /// create_task(*values, **names) as vectorcall passes it. New reference, or null with an exception set.
    PyObject* make(LoopCore& core, PyObject* const* values, Py_ssize_t n, PyObject* names) const;

    /// For a module's tp_traverse.
    int traverse(visitproc visit, void* arg) const;

  private:
    PyObject* ask_asyncio(PyObject* loop, PyObject* const* values, Py_ssize_t n, PyObject* names) const;

    asioserve::py::Ref asyncios_;   // BaseEventLoop.create_task
    asioserve::py::Ref variables_;  // of module asyncio.tasks
    asioserve::py::Ref task_name_, loop_name_, name_name_, context_name_;
};

}  // namespace asioloop
