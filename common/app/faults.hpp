// Faults on purpose (hidden flags), so that tests can show what a supervisor does about a crash and about a
// loop that stands still.
//
// Threads: as a Handler; start() has the GIL.
#pragma once

#include "common/options/options.hpp"
#include "common/runner/handler.hpp"

namespace asioserve::app {

/// Stands before another handler and goes wrong when enough requests have been started.
class FaultyHandler final : public Handler {
  public:
    /// Both outlive it.
    FaultyHandler(Handler& inner, const options::Faults& faults) : inner_(inner), faults_(faults) {}

    Routed route(Exchange& x) override { return inner_.route(x); }
    Step start(Exchange& x, AnswerSink answer) override;
    Step finish(Exchange& x, Outcome& outcome, AnswerSink answer) override {
        return inner_.finish(x, outcome, answer);
    }
    void abort(Exchange& x) noexcept override { inner_.abort(x); }

  private:
    Handler& inner_;
    options::Faults faults_;
    std::uint64_t started_ = 0;  ///< GIL
};

}  // namespace asioserve::app
