// From what an endpoint gave to an answer.
//
// Threads: everything needs the GIL; the sink is called at most once, inside the call.
#pragma once

#include "common/python/ref.hpp"

#include "common/app/plan.hpp"
#include "common/runner/handler.hpp"

namespace asioserve::app {

/// What became of a result.
enum class Replied : std::uint8_t {
    answered,  ///< the sink has been called
    stream,    ///< it is a StreamingResponse: to be pumped
    raised,    ///< it cannot be sent; an exception is set
};

/// dict, list, dataclass, model, None, number: JSON. str: text. bytes: as they are. (body, status). Response.
Replied reply(const Plan& plan, int status, PyObject* result, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil);

/// {"detail": …} of a status, with the fields of a mapping (or None). False: it cannot be sent; an exception
/// is set.
bool reply_detail(const Plan& plan, int status, PyObject* detail, PyObject* headers, AnswerSink answer)
    ASIOSERVE_REQUIRES(py::gil);

/// {"detail": errors} of a 422. False: it cannot be sent; an exception is set.
bool reply_invalid(const Plan& plan, PyObject* errors, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil);

/// The 500 that says nothing.
void reply_internal_error(AnswerSink answer);

/// 1xx, 204, 304: neither a body nor a content type.
constexpr bool has_no_body(int status) noexcept {
    return status < 200 || status == 204 || status == 304;
}

}  // namespace asioserve::app
