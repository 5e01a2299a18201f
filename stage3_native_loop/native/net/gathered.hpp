// Small writes of a turn, sent together at its end: what a callback writes in pieces goes out as one, and
// whoever waits for several answers on the same machine is woken once for all of them. What
// would show the delay (a close, the buffer's size, the socket) sends at once, and no write waits for longer
// than a tick of the kernel's clock, 1 to 10 ms, and the callback that runs then. It costs what waiting on a
// peer inside a callback would need: nobody has sent yet.
//
// Threads: under the GIL.
#pragma once

#include <ctime>
#include <vector>

#include "common/python/ref.hpp"

namespace asioloop {

class Stream;

class Gathered {
  public:
    /// Longer pieces are sent at once: what they cost to send is not the system call.
    static constexpr std::size_t small = 16 * 1024;
    /// So much of one stream is not kept back.
    static constexpr std::size_t most = 64 * 1024;

    /// Whether writes are gathered at all: loop.gather_writes.
    bool wanted = true;
    /// From now on writes may wait, until end_turn().
    void begin_turn() noexcept { open_ = wanted; }
    /// Whether writes may wait.
    bool open() const noexcept { return open_; }
    /// This stream has something to send when the turn ends.
    void add(Stream& stream);
    /// Whether the first of them has waited for long enough.
    bool overdue() const noexcept { return !streams_.empty() && tick() != since_; }
    /// Sends for all of them. False with an exception set, which leaves the loop. One that is set is kept.
    bool flush();
    /// The end of the turn.
    bool end_turn() {
        open_ = false;
        return streams_.empty() || flush();
    }
    /// In a forked child: the parent sends them.
    void forget();

  private:
    /// Reads the clock without asking the processor: changes every tick.
    static long tick() noexcept {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        return now.tv_nsec;
    }

    struct Waiting {
        asioserve::py::Ref keep;
        Stream* stream;
    };
    std::vector<Waiting> streams_;
    bool open_ = false;
    long since_ = 0;
};

}  // namespace asioloop
