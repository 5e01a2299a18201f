// SIGINT and SIGTERM: the first one drains, the second one ends the process at once, also when the loop
// hangs.
//
// Threads: install() on the main thread with the GIL; the handlers run wherever the kernel likes and touch
// nothing but a pipe, a timer and lock-free flags; `first` is called on the I/O thread. One instance at a
// time, as signals belong to the process.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <functional>

#include "common/python/gil.hpp"

namespace asioserve::app {

class Signals {
  public:
    /// How signals are taken.
    struct Options {
        /// A terminal signals a supervisor and its child alike, and the supervisor passes the signal on: then
        /// one SIGINT and one SIGTERM are one wish, and only a repeated signal is the second.
        bool supervised = false;
        /// How long a drain may take before the process is ended regardless (it hangs where no signal can
        /// help).
        std::chrono::milliseconds drain_time{30'000};
    };

    /// Takes nothing over before install().
    Signals(asio::io_context& io, Options options);
    /// The handlers and the deadline stay for the rest of the process: what was one wish must not meet the
    /// default action in its last microseconds, and a library that hangs in exit() is bounded still.
    ~Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    /// Who is told about the first signal (its number). Before the I/O thread runs.
    void watch(std::function<void(int signo)> first);

    /// After the app's import: takes over SIGINT and SIGTERM. A handler that the app has installed in Python
    /// is called as well; one that it installs later (signal.signal, loop.add_signal_handler) replaces ours,
    /// as under asyncio.run. Python sees a callable of ours there, so that asyncio.Runner leaves SIGINT alone
    /// and an app that calls the handler it found drains the server.
    void install() ASIOSERVE_REQUIRES(py::gil);

    /// Just before the interpreter is finalised, which would put the default action where Python has a
    /// handler, long before the process ends. Main thread.
    void outlive_python() ASIOSERVE_REQUIRES(py::gil);

    /// Ends the process with `code` when `time` is over and it still runs. Any thread; replaces the deadline
    /// before.
    void deadline(std::chrono::milliseconds time, int code) noexcept;
    /// No deadline any more.
    void no_deadline() noexcept;

    /// The first signal that came, or 0.
    int received() const noexcept;

  private:
    asio::posix::stream_descriptor pipe_;
};

}  // namespace asioserve::app
