// The attribute names that requests look up, interned once.
//
// Threads: made with the GIL held, constant afterwards; every use needs the GIL.
#pragma once

#include "common/python/ref.hpp"

namespace asioserve::app {

/// Interned strings: a lookup by them compares pointers. They belong to one handler, as nothing is global.
struct Names {
    /// Throws py::PythonError.
    Names() ASIOSERVE_REQUIRES(py::gil);

    /// Attributes and methods of requests, responses and exceptions of ours.
    /// @{
    py::Ref status_code, body, raw_headers, pump, detail, headers, errors;
    /// @}
    /// Methods of asyncio's loop, futures and tasks.
    /// @{
    py::Ref create_future, set_result, set_exception, done, cancel;
    /// @}
    /// Keys of a validation error.
    /// @{
    py::Ref type, loc, msg, input, ctx;
    /// @}
};

}  // namespace asioserve::app
