// asyncio futures made and settled from C++.
//
// Threads: everything needs the GIL, on the thread of the running loop.
#pragma once

#include "common/python/ref.hpp"

#include "common/app/plan.hpp"

namespace asioserve::app {

/// A future of the running loop; null with an exception set where no loop is running.
py::Ref make_future(const Plan& plan) ASIOSERVE_REQUIRES(py::gil);

/// Whether somebody may still wait for it.
bool is_pending(const Plan& plan, const py::Ref& future) ASIOSERVE_REQUIRES(py::gil);

/// Settles it, if it is still pending, and lets go of it. Failing (the loop is closed) is reported as
/// unraisable.
void settle(const Plan& plan, py::Ref& future, PyObject* value) ASIOSERVE_REQUIRES(py::gil);
/// The same with an exception instance.
void settle_raising(const Plan& plan, py::Ref& future, PyObject* exception) ASIOSERVE_REQUIRES(py::gil);

}  // namespace asioserve::app
