// The Python type `_asioserve.Sink`: where StreamingResponse._pump() sends its answer.
//
// Threads: everything needs the GIL, on the loop's thread.
#pragma once

#include "common/python/ref.hpp"

#include "common/app/native_request.hpp"

namespace asioserve::app {

/// How far a streamed answer has come.
enum class SinkState : std::uint8_t { fresh, begun, finished, over };

/// Makes the type. Throws py::PythonError.
py::Ref make_sink_type(PyObject* module) ASIOSERVE_REQUIRES(py::gil);

/// A new sink for the answer to `request` (an `_asioserve.Request`); null with an exception set.
py::Ref make_sink(const Shared& shared, PyObject* request) ASIOSERVE_REQUIRES(py::gil);

/// How far it has come.
SinkState sink_state(PyObject* sink) noexcept;
/// Nothing may be written any more: whoever kept the sink gets an error.
void close_sink(PyObject* sink) noexcept;

}  // namespace asioserve::app
