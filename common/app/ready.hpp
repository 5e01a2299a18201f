// An awaitable that is ready: `await` on it takes no turn of the loop and no future.
//
// Threads: everything needs the GIL.
#pragma once

#include "common/python/ref.hpp"

#include "common/app/shared.hpp"

namespace asioserve::app {

/// Makes the type. Throws py::PythonError.
py::Ref make_ready_type(PyObject* module) ASIOSERVE_REQUIRES(py::gil);

/// Awaiting it gives `value`; null with an exception set.
py::Ref make_ready(const Shared& shared, PyObject* value) ASIOSERVE_REQUIRES(py::gil);
/// Awaiting it raises `exception`.
py::Ref make_ready_raising(const Shared& shared, PyObject* exception) ASIOSERVE_REQUIRES(py::gil);

}  // namespace asioserve::app
