// How often a server may exit before the next stage takes over, and how long to wait before it is started
// again.
//
// Threads: none. It never asks for the time: tests step it.
#pragma once

#include <chrono>
#include <deque>
#include <optional>

namespace asioserve::fallback {

class CrashPolicy {
  public:
    /// Does not jump.
    using Clock = std::chrono::steady_clock;

    /// More than `most` exits within `window` are too many.
    CrashPolicy(int most, std::chrono::milliseconds window) : most_(most), window_(window) {}

    /// An exit at `now`. How long to wait before the next start; nothing: these were too many.
    std::optional<std::chrono::milliseconds> record(Clock::time_point now);
    /// Another stage begins with a clean sheet.
    void forget() { exits_.clear(); }
    /// Exits within the window, as of the last record().
    int count() const { return static_cast<int>(exits_.size()); }

  private:
    int most_;
    std::chrono::milliseconds window_;
    std::deque<Clock::time_point> exits_;
};

}  // namespace asioserve::fallback
