// RequestCoroutine: what a request's asyncio.Task believes to be its coroutine.
//
// It drives the handler's coroutine and whatever the answer turns out to need after it (a streamed body), hands each
// outcome to the handler while still inside the task's step, and stands in for a first step that was taken before the
// task existed to anybody. Attributes of a coroutine (cr_frame, __qualname__, …) are those of the one it drives.
//
// Threads: the loop's, GIL held.
#pragma once

#include "common/app/computation.hpp"

namespace stage {

class Runner;

/// The type. New reference; null with an exception set.
PyObject* make_request_coroutine_type();

struct RequestCoroutine {
    PyObject_HEAD
    Runner* runner;
    PyObject* inner;              ///< owned: the coroutine that is driven; null before the start and after the end
    PyObject* yielded;            ///< owned: what the first step has yielded and the task has not seen yet
    PyObject* pending;            ///< owned: an exception for the next step (cancelled while it could not be delivered)
    PyObject* task;               ///< not owned: it owns this
    asioserve::Exchange* exchange;  ///< owned reference; null when there is nothing to answer
    bool replay;                  ///< the task's first step is to hand over `yielded`

    static PyObject* make(PyObject* type, Runner& runner);
    static RequestCoroutine& of(PyObject* o) { return *reinterpret_cast<RequestCoroutine*>(o); }

    /// The request that is to be started by the task's own first step.
    void assign(asioserve::ExchangePtr x);
    /// The rest of a first step that has been taken: the task's own will hand over `value`.
    void adopt(asioserve::ExchangePtr x, PyObject* of_task, asioserve::py::Ref coroutine, asioserve::py::Ref value);
};

}  // namespace stage
