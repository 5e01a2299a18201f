// Signals as events of the loop. They are blocked from the start of main(), so that none is lost or lethal
// before.
//
// Threads: the only one.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>

namespace asioserve::fallback {

class Signals {
  public:
    /// Blocks the signals and reads them from a descriptor (signalfd) from then on.
    explicit Signals(asio::io_context& io);
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    /// Calls `handler` with the number of each signal. A hang-up of the terminal comes as SIGTERM, one that
    /// somebody sends as SIGHUP; under nohup the former does not come at all.
    void start(std::function<void(int)> handler);
    /// No more calls; lets the loop end.
    void stop();

  private:
    void wait();
    void drain();

    bool nohup_;
    asio::posix::stream_descriptor descriptor_;
    std::function<void(int)> handler_;
};

}  // namespace asioserve::fallback
