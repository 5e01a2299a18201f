// Handlers without Python: a fixed answer, an echo, and one that a test scripts.
//
// Threads: I/O thread; they never look for a GIL.
#pragma once

#include <functional>
#include <string>

#include "common/runner/handler.hpp"

namespace asioserve::fakes {

/// Answers everything with the same JSON; the control row of the bench.
class FixedHandler final : public Handler {
  public:
    explicit FixedHandler(std::string body = R"({"hello":"world"})") : body_(std::move(body)) {}
    Routed route(Exchange&) override { return {Kind::plain, BodyMode::ignore}; }
    Step start(Exchange&, AnswerSink answer) override;
    Step finish(Exchange&, Outcome&, AnswerSink) override { return {}; }
    void abort(Exchange&) noexcept override {}

  private:
    const std::string body_;
};

/// Answers with the body that came.
class EchoHandler final : public Handler {
  public:
    Routed route(Exchange&) override { return {Kind::plain, BodyMode::collect}; }
    Step start(Exchange& x, AnswerSink answer) override;
    Step finish(Exchange&, Outcome&, AnswerSink) override { return {}; }
    void abort(Exchange&) noexcept override {}
};

/// Does what a test says. Without an answer in `on_start`, the test keeps an ExchangePtr and answers when it
/// likes.
class ScriptHandler final : public Handler {
  public:
    Routed route(Exchange& x) override {
        return on_route ? on_route(x) : Routed{Kind::coroutine, BodyMode::ignore};
    }
    Step start(Exchange& x, AnswerSink answer) override;
    Step finish(Exchange&, Outcome&, AnswerSink) override { return {}; }
    void abort(Exchange&) noexcept override {}

    std::function<Routed(Exchange&)> on_route;
    std::function<void(Exchange&, AnswerSink)> on_start;
};

}  // namespace asioserve::fakes
