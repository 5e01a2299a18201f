// The coroutine that a task really drives: it hands everything on to the handler's own coroutine and tells
// the runner when that has ended, so that neither a result nor SystemExit gets lost on a stock event loop.
//
// Threads: everything needs the GIL; a guard is driven by one task, on the thread of the loop.
#pragma once

#include "common/app/computation.hpp"

namespace asioserve::app {

/// Who is told about one guarded coroutine. Called with the GIL, inside a step of the task, in the task's
/// context.
class GuardOwner {
  public:
    /// The task takes its first step (or is thrown into before it took one).
    virtual void on_first_step() ASIOSERVE_REQUIRES(py::gil) = 0;
    /// The coroutine ended. What this returns is driven next, in the same task; null: the task ends as the
    /// coroutine did, except that SystemExit and KeyboardInterrupt become None, because asyncio lets those
    /// two stop the loop.
    virtual Computation* on_end(Outcome& outcome) ASIOSERVE_REQUIRES(py::gil) = 0;

  protected:
    ~GuardOwner() = default;
};

/// The type of the guards; one per runner, as nothing is global.
class Guards {
  public:
    /// Throws py::PythonError when the type cannot be made.
    Guards() ASIOSERVE_REQUIRES(py::gil);

    /// Wraps a coroutine. asyncio takes the result for a coroutine; attributes that it lacks (cr_frame,
    /// __name__, …) are the inner one's, so that the repr and the stack of the task show the handler. Null
    /// with an exception set when memory is out. Costs about 30 ns, 8 ns a step.
    py::Ref make(py::Ref coroutine, GuardOwner& owner) ASIOSERVE_REQUIRES(py::gil);

    /// The owner goes away before the coroutine has ended: it is told nothing any more. A coroutine that was
    /// not even started is closed, or CPython would warn that it was never awaited.
    static void disown(PyObject* guard) noexcept ASIOSERVE_REQUIRES(py::gil);
    /// Whether the last coroutine has ended.
    static bool ended(PyObject* guard) noexcept ASIOSERVE_REQUIRES(py::gil);

  private:
    py::Ref type_;
};

/// The loop has ended before this task: when it is destroyed asyncio need not complain that it was pending.
void give_up_task(PyObject* task) noexcept ASIOSERVE_REQUIRES(py::gil);

/// Whether this is one of the two exceptions that end a program rather than a request.
bool ends_the_program(const Outcome& outcome) noexcept ASIOSERVE_REQUIRES(py::gil);

}  // namespace asioserve::app
