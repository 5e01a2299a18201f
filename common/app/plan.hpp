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
    /// Where it comes from.
    Source source = Source::query;
    /// What a text is turned into natively.
    ParamType type = ParamType::str;
    /// What JSON must be there.
    JsonKind json_kind = JsonKind::any;
    /// A list: all values of the name.
    bool many = false;
    /// Absent is an error.
    bool required = true;
    /// None is a value too.
    bool optional = false;
    /// The body is an object with the parameter's name as a key.
    bool embed = false;
    std::size_t capture = 0;  ///< for Source::path: which parameter of the template
    /// Its name on the wire.
    std::string alias;
    /// The same as a Python text.
    py::Ref alias_object;
    py::Ref loc;  ///< the tuple that errors name: ("query", "q"), ("body",)
    /// For a parameter that is absent; null: none.
    py::Ref default_value;
    /// Called where there is no default value; null: none.
    py::Ref default_factory;
    /// Python's own conversion, for types that are not native; null: none.
    py::Ref convert;
};

/// One route. The path and the methods are in the Router.
struct RoutePlan {
    /// Its place in Plan::routes.
    std::uint32_t number = 0;
    Kind kind = Kind::plain;  ///< how the runner is to run it, middleware and pool counted in
    /// How the connection is to take the body.
    BodyMode body = BodyMode::ignore;
    /// Runs in the executor.
    bool pool = false;
    bool coroutine = false;  ///< the endpoint itself is an async def
    /// Cancel the task when the peer leaves.
    bool cancel_on_disconnect = false;
    /// The endpoint takes the Request.
    bool wants_request = false;
    bool many_captures = false;  ///< more than a note holds: matched again when they are needed
    /// Of an answer that does not say it itself.
    int status = 200;
    /// In the order of the keywords.
    std::vector<ParamPlan> params;
    /// The function itself.
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

    /// Interned once.
    Names names;
    /// From path to route.
    Router router;
    /// By number.
    std::vector<RoutePlan> routes;
    /// 404 and 405 are answered without Python: the app has no handler of its own for them.
    bool native_errors = true;
    /// `/a/` goes to `/a`, and back, where only that one exists.
    bool redirect_slashes = true;

    py::Ref entry;  ///< null without middleware
    /// Functions and classes of asioserve that requests need.
    /// @{
    py::Ref encode, encode_default, decode, decode_again, on_exception, request_class, sync_pool;
    /// @}
    /// Classes that results and exceptions are told by.
    /// @{
    py::Ref response, streaming_response, http_exception, validation_error, client_disconnected,
        cancelled_error;
    /// @}
    /// Functions of asyncio.
    /// @{
    py::Ref get_running_loop, current_task;
    /// @}
    py::Ref encode_errors;  ///< asioserve._json.encode_errors: the body of a 422

  private:
    void read_route(PyObject* route, bool sync_pool, bool app_cancels) ASIOSERVE_REQUIRES(py::gil);
};

}  // namespace asioserve::app
