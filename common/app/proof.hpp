// The proof of a supervised server: canaries that the stage's own runner runs before there is an app, a
// connection or anybody who believes that it works.
//
// Threads and GIL: constructed before the runner; start(), finish(), abort() and everything that says so need
// the GIL. The exchanges of canaries are made on the loop's thread and then live as the runner wants.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/app/computation.hpp"
#include "common/runner/runner.hpp"

namespace asioserve::app {

/// Stands before the app's handler: answers the canaries, hands on everything else. Costs a call per request.
class Proof final : public Handler {
  public:
    /// `inner` outlives it.
    explicit Proof(Handler& inner) : inner_(inner) {}
    ~Proof() override;
    Proof(const Proof&) = delete;
    Proof& operator=(const Proof&) = delete;

    /// Has the runner run `function` as a handler of a request; `done(text)` is called on the loop's thread
    /// with "returned" or "Type: message". The token is for cancel().
    int fly(Runner& runner, py::Ref function, bool plain, py::Ref done) ASIOSERVE_REQUIRES(py::gil);
    /// Runner::cancel for that canary.
    void cancel(Runner& runner, int token) ASIOSERVE_REQUIRES(py::gil);
    /// The proof is over: lets go of the canaries.
    void end() noexcept ASIOSERVE_REQUIRES(py::gil);

    Routed route(Exchange& x) override { return inner_.route(x); }
    Step start(Exchange& x, AnswerSink answer) override;
    Step finish(Exchange& x, Outcome& outcome, AnswerSink answer) override;
    void abort(Exchange& x) noexcept override;

  private:
    class Canary;
    struct Flight {
        ExchangePtr exchange;
        py::Ref function;
        py::Ref done;
        bool plain;
    };
    const Flight* find(const Exchange& x) const noexcept;
    void landed(std::size_t token, const std::string& how);

    Handler& inner_;
    std::vector<Flight> flights_;  ///< GIL; empty once the proof is over
};

}  // namespace asioserve::app
