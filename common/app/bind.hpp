// From a request to the arguments of its endpoint.
//
// Threads: everything needs the GIL; no loop need be running.
#pragma once

#include "common/python/ref.hpp"

#include <span>
#include <string_view>

#include "common/app/arguments.hpp"
#include "common/app/invalid.hpp"
#include "common/app/plan.hpp"
#include "common/runner/exchange.hpp"

namespace asioserve::app {

/// What binding came to.
enum class Bound : std::uint8_t {
    ready,    ///< the arguments are there
    invalid,  ///< the request does not fit: the errors say why
    raised,   ///< an exception is set
};

/// Binds every parameter of the route. `captures` are what its template took from the decoded path; `request`
/// is what parameters of source "request" get, null when there are none.
Bound bind(const Plan& plan, const RoutePlan& route, const Exchange& x,
           std::span<const std::string_view> captures, PyObject* request, Arguments& out, Invalid& errors)
    ASIOSERVE_REQUIRES(py::gil);

/// Text of a path or query: what is not UTF-8 is replaced.
py::Ref path_text(std::string_view bytes) ASIOSERVE_REQUIRES(py::gil);

}  // namespace asioserve::app
