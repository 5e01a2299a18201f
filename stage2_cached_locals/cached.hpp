// What stage 1 looks up for each request, looked up once: the loop's bound methods, asyncio's functions, the
// names.
//
// Threads: everything needs the GIL; from bind() on, the thread of the loop.
#pragma once

#include "common/python/ref.hpp"

namespace stage {

namespace py = asioserve::py;

class Cached {
  public:
    /// Looks up what does not depend on a loop. Throws py::PythonError, and std::runtime_error when
    /// ASIOSERVE_ABLATE=eager-start (for the bench; it is no caching) asks for what this CPython does not
    /// have.
    Cached() ASIOSERVE_REQUIRES(py::gil);
    /// Looks up the rest. Throws py::PythonError.
    void bind(PyObject* loop) ASIOSERVE_REQUIRES(py::gil);

    /// To be called once a batch: the app may set a task factory at any time.
    void look_for_task_factory() ASIOSERVE_REQUIRES(py::gil);
    /// loop.create_task(coroutine, context=context); null with an exception set when that fails. With a loop
    /// that has asyncio's own create_task and no task factory it calls what that would call, without its
    /// Python frame.
    py::Ref new_task(PyObject* coroutine, PyObject* context) ASIOSERVE_REQUIRES(py::gil);
    /// task.cancel().
    void cancel(PyObject* task) ASIOSERVE_REQUIRES(py::gil);
    /// The CancelledError that the task (null: the current one) is yet to raise; null when it was not
    /// cancelled.
    py::Ref cancelled(PyObject* task) ASIOSERVE_REQUIRES(py::gil);
    /// The exception of the current task has become an answer: when the task is done asyncio need not log it.
    void retrieve_current() ASIOSERVE_REQUIRES(py::gil);
    /// loop.call_soon(callback). False: the loop is closed.
    bool call_soon(PyObject* callback) ASIOSERVE_REQUIRES(py::gil);

  private:
    bool eager_;
    py::Ref task_type_, current_task_, retrieve_;  // asyncio's, and a done callback of ours
    py::Ref cancel_, add_done_callback_, must_cancel_, make_cancelled_error_;  // names
    py::Ref context_word_, task_words_;                      // keywords of create_task() and of Task()
    py::Ref loop_, create_task_, task_factory_, call_soon_;  // the loop and bound methods of it
    bool plain_loop_ = false, direct_ = false;
};

}  // namespace stage
