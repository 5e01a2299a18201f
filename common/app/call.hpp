// Calling the endpoint of a route, with its arguments bound.
//
// Threads: everything needs the GIL.
#pragma once

#include "common/python/ref.hpp"

#include "common/app/note.hpp"
#include "common/app/plan.hpp"
#include "common/app/shared.hpp"

namespace asioserve::app {

/// Binds the arguments and calls the endpoint: its result, a coroutine, or what the pool gives. Null with an
/// exception set: one of the endpoint's own, or RequestValidationError.
py::Ref call_endpoint(const Plan& plan, const RoutePlan& route, const Exchange& x, const Note& note,
                      PyObject* request) ASIOSERVE_REQUIRES(py::gil);

/// Raises what stands for a request that no route takes: HTTPException, 404 or 405 with Allow.
void raise_unmatched(const Plan& plan, const Exchange& x, Verdict verdict) ASIOSERVE_REQUIRES(py::gil);

/// NativeRequest.dispatch(request): what the innermost middleware calls.
PyObject* dispatch(const Shared& shared, Exchange& x, PyObject* request) ASIOSERVE_REQUIRES(py::gil);

}  // namespace asioserve::app
