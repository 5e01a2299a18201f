// A runner without Python: it calls the handler where it stands, on the I/O thread.
//
// Threads: as common/runner/runner.hpp says; to_python() and to_io() post to the io_context.
#pragma once

#include <asio/io_context.hpp>
#include <functional>

#include "common/runner/runner.hpp"

namespace asioserve::fakes {

class FakeRunner final : public Runner {
  public:
    FakeRunner(asio::io_context& io, Handler& handler) : io_(io), handler_(handler) {}

    /// Nothing to run: a test drives the io_context itself.
    int run(Program&) override { return 0; }
    void start(ExchangePtr x, Kind kind) override;
    void cancel(Exchange& x) override;
    void to_python(Job job) override;
    void to_io(Job job) override;
    Counters counters() const override;

    /// Called by cancel(), with the id of the exchange.
    std::function<void(std::uint64_t)> on_cancel;

  private:
    asio::io_context& io_;
    Handler& handler_;
    Counter requests_;
};

}  // namespace asioserve::fakes
