// What a runner runs. common/app implements it over Python, tests/fakes without.
//
// Threads and GIL: each verb says which; only the Runner decides where and when it is called.
#pragma once

#include <cstdint>

#include "common/runner/exchange.hpp"

namespace asioserve {

/// Something that is driven until it ends: to a Python runner a coroutine (common/app/computation.hpp); the
/// seam does not look inside. Owned by whoever holds the pointer, released by whoever drives it.
class Computation;
/// What a computation came to: a Python object or exception (common/app/computation.hpp).
class Outcome;

/// What sort of code answers a request.
enum class Kind : std::uint8_t {
    answered,   ///< it is answered already (404, 405, status path); nothing to start
    plain,      ///< a plain function: no loop is running while it runs
    coroutine,  ///< start() gives a Computation
};

/// How the request's body is wanted.
enum class BodyMode : std::uint8_t {
    ignore,   ///< not at all; the connection drops what comes
    collect,  ///< whole, before Runner::start
    stream,   ///< by Exchange::read_body
};

/// What Handler::route has found out.
struct Routed {
    /// What sort of code answers.
    Kind kind = Kind::answered;
    /// How the body is wanted.
    BodyMode body = BodyMode::ignore;
};

/// Takes a whole answer; called at most once per start()/finish(), inside that call, with views that live as
/// long. A runner that is on the I/O thread passes it on to Exchange::answer, another one copies it.
using AnswerSink = FunctionRef<void(const AnswerView&)>;

/// What is left to do after start() or finish(): drive `next` and hand its outcome to finish(), or nothing.
struct Step {
    /// Owned by whoever gets the Step; null: it is answered.
    Computation* next = nullptr;
};

/// What a runner runs: finds out who answers, starts it, turns what it came to into an answer.
class Handler {
  public:
    virtual ~Handler() = default;

    /// Finds out who answers, or answers. I/O thread, without the GIL; nothing of Python is touched.
    virtual Routed route(Exchange& x) = 0;
    /// Runs a plain function to its end, or makes the computation. GIL held, in a context of this request's
    /// own. An exception never comes out: it has become an answer, and the log has the traceback.
    virtual Step start(Exchange& x, AnswerSink answer) = 0;
    /// Turns the outcome of a computation into an answer, or into a further computation (a streamed body, an
    /// exception handler that is a coroutine). GIL held; on any thread.
    virtual Step finish(Exchange& x, Outcome& outcome, AnswerSink answer) = 0;
    /// The exchange will not be driven any further (shutdown): lets go of what it holds. GIL held.
    virtual void abort(Exchange& x) noexcept = 0;
};

}  // namespace asioserve
