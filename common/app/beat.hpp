// The child's end of the pipe to its supervisor: says how far it has got, and hears when the supervisor is
// gone.
//
// Threads: say() any thread; watch() before the I/O thread runs, `gone` is called on that thread.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <string_view>

namespace asioserve::app {

class SupervisorPipe {
  public:
    /// `fd` is the writing end (--supervisor-fd), which it takes over; -1: nobody supervises. Throws
    /// std::runtime_error when it is no open descriptor.
    SupervisorPipe(asio::io_context& io, int fd);

    /// Whether there is a supervisor to talk to.
    bool supervised() const noexcept { return pipe_.is_open(); }
    /// Writes one line: "importing", "proving", "proved", "ready", "beat", "failed startup", "leaving". A
    /// full pipe loses it: a supervisor that does not read misses nothing but beats.
    void say(std::string_view line) noexcept;
    /// Calls `gone` once when the reading end is closed.
    void watch(std::function<void()> gone);

  private:
    asio::posix::stream_descriptor pipe_;
};

}  // namespace asioserve::app
