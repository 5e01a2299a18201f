// RequestCoroutine: what a request's asyncio.Task believes to be its coroutine.
//
// It drives the handler's coroutine and whatever the answer turns out to need after it (a streamed body),
// hands each outcome to the handler while still inside the task's step, and stands in for a first step that
// was taken before the task existed to anybody. Attributes of a coroutine (cr_frame, __qualname__, …) are
// those of the one it drives.
//
// Threads: the loop's, GIL held.
#pragma once

#include "common/app/computation.hpp"
#include "stage3_native_loop/task_pool.hpp"

namespace stage {

class Runner;

/// The type. New reference; null with an exception set.
PyObject* make_request_coroutine_type();

struct RequestCoroutine {
    /// The Python object's head, and the runner that it belongs to, which outlives it.
    PyObject_HEAD Runner* runner;
    PyObject* inner;    ///< owned: the coroutine that is driven; null before the start and after the end
    PyObject* yielded;  ///< owned: what the first step has yielded and the task has not seen yet
    PyObject* pending;  ///< owned: an exception for the next step (cancelled while it could not be delivered)
    PyObject* result;   ///< owned: what the task is to end with, when its end came before its first step
    PyObject* task;     ///< owned while the exchange waits for it; linked in TaskPool::waiting()
    PyObject* token;    ///< owned: what the registry knows that task by, to its end; null for other tasks
    /// In the list of tasks that are kept alive.
    TaskLink link;
    asioserve::Exchange* exchange;  ///< owned reference; null when there is nothing to answer
    PooledTask* pooled;             ///< owned: while it is queued to take the next step
    bool replay;                    ///< the task's first step is to hand over `yielded`
    bool running;                   ///< a step is being taken: nobody else may take one

    /// New reference to an empty one; null with an exception set.
    static PyObject* make(PyObject* type, Runner& runner);
    /// The object behind a reference.
    static RequestCoroutine& of(PyObject* o) { return *reinterpret_cast<RequestCoroutine*>(o); }

    /// The request that is to be started by the task's own first step.
    void assign(asioserve::ExchangePtr x);
    /// `inner` waits, after a first step that was taken for `of_task`: the rest of the request is the task's.
    void adopt(asioserve::ExchangePtr x, asioserve::py::Ref of_task, asioserve::py::Ref of_registry);
    /// `inner` has yielded `value` in a step that was taken for the task: the task's own will hand it over.
    void hand_over(asioserve::py::Ref value);
    /// A step that is taken for the task, with the meaning of PyIter_Send(self, None, result).
    PySendResult advance(PyObject** given);
    /// Keeps the task alive until the exchange is answered: nobody else may hold a task that waits for its
    /// own future.
    void keep(asioserve::py::Ref of_task);
    /// How many of our references, which a step may end, are to this task.
    int references_to(PyObject* of_task) const { return (task == of_task) + (token == of_task); }
    /// The exchange is answered: the task is asyncio's alone.
    void let_go();
    /// The object that a link is part of.
    static RequestCoroutine& from(TaskLink* link);
    /// The request ended in the first step that was taken for `of_task`: the task's own ends it in the same
    /// way.
    void conclude(PyObject* of_task, const asioserve::Outcome& outcome);
};

}  // namespace stage
