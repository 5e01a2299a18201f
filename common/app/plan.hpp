// What asioserve.App compiles to (common/asioserve/_plan.py), copied into C++ once, so that a request looks
// up nothing.
//
// Threads: made with the GIL held, constant afterwards. What is no Ref may be read on any thread without the
// GIL.
#pragma once

#include "common/python/ref.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/app/names.hpp"
#include "common/app/router.hpp"
#include "common/runner/handler.hpp"

namespace asioserve::app {

/// Where a parameter comes from.
enum class Source : std::uint8_t { path, query, header, cookie, body, request };
/// What it is converted to; `python` asks its `convert`.
enum class ParamType : std::uint8_t { str, integer, real, boolean, json, bytes, python };
/// What a JSON body has to be.
enum class JsonKind : std::uint8_t { any, dict, list };

/// One parameter of an endpoint.
struct ParamPlan {
    Source source = Source::query;
    ParamType type = ParamType::str;
    JsonKind json_kind = JsonKind::any;
    bool many = false;
    bool required = true;
    bool optional = false;
    bool embed = false;
    std::size_t capture = 0;  ///< for Source::path: which parameter of the template
    std::string alias;
    py::Ref alias_object;
    py::Ref loc;  ///< the tuple that errors name: ("query", "q"), ("body",)
    py::Ref default_value;
    py::Ref default_factory;
    py::Ref convert;
};

/// One route. The path and the methods are in the Router.
struct RoutePlan {
    std::uint32_t number = 0;
    Kind kind = Kind::plain;  ///< how the runner is to run it, middleware and pool counted in
    BodyMode body = BodyMode::ignore;
    bool pool = false;
    bool coroutine = false;  ///< the endpoint itself is an async def
    bool cancel_on_disconnect = false;
    bool wants_request = false;
    bool many_captures = false;  ///< more than a note holds: matched again when they are needed
    int status = 200;
    std::vector<ParamPlan> params;
    py::Ref endpoint;
    py::Ref names;  ///< tuple of the keywords, for vectorcall
    py::Ref entry;  ///< the chain of middleware, null without one
};

/// A compiled app.
struct Plan {
    /// How many captures fit into an exchange's note.
    static constexpr std::size_t most_captures = 8;

    /// Compiles and copies. Throws std::runtime_error with a clear sentence.
    Plan(PyObject* app, bool sync_pool) ASIOSERVE_REQUIRES(py::gil);

    Names names;
    Router router;
    std::vector<RoutePlan> routes;
    bool native_errors = true;
    bool redirect_slashes = true;

    py::Ref entry;  ///< null without middleware
    py::Ref encode, encode_default, decode, decode_again, on_exception, request_class, sync_pool;
    // What results and exceptions are told by.
    py::Ref response, streaming_response, http_exception, validation_error, client_disconnected,
        cancelled_error;
    py::Ref get_running_loop, current_task;
    py::Ref encode_errors;  ///< asioserve._json.encode_errors: the body of a 422

  private:
    void read_route(PyObject* route, bool sync_pool, bool app_cancels) ASIOSERVE_REQUIRES(py::gil);
};

}  // namespace asioserve::app
