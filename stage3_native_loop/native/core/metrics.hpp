// What the loop has done, in numbers: always counted, as a count costs one add and a clock is read only where
// the loop is about to block.
//
// Threads: one writer each (the loop's thread, or whoever has the GIL); read by any, a moment old.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "common/python/ref.hpp"
#include "common/runner/counters.hpp"

namespace asioloop {

class LoopCore;

/// How late timers ran: how many by less than a microsecond, by less than 2, 4, 8, ...; the last bucket has
/// all the rest.
class LagHistogram {
  public:
    /// Number of buckets: the last but one ends at 17 minutes.
    static constexpr std::size_t size = 32;

    /// Which bucket.
    static std::size_t bucket_of(double seconds) noexcept {
        if (!(seconds >= 1e-6)) return 0;
        if (seconds >= 1073.741824) return size - 1;
        return static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(seconds * 1e6)));
    }
    /// One timer.
    void add(double seconds) noexcept { buckets_[bucket_of(seconds)].add(); }
    /// How many timers are in the bucket.
    std::uint64_t get(std::size_t bucket) const noexcept { return buckets_[bucket].get(); }

  private:
    std::array<asioserve::Counter, size> buckets_;
};

/// Totals since the loop was made. Times are in nanoseconds.
struct Metrics {
    asioserve::Counter turns;      ///< iterations
    asioserve::Counter callbacks;  ///< run, those that were cancelled counted
    /// Not a total: the longest that the ready queue was at the begin of a turn.
    asioserve::Counter most_ready;
    /// Of timers.
    LagHistogram lag;

    asioserve::Counter running;      ///< inside run(), all runs that have ended
    asioserve::Counter waiting;      ///< of it, without the GIL, for something to happen
    asioserve::Counter gil_waiting;  ///< until the GIL was taken, after that
    asioserve::Counter gil_taken;    ///< times

    asioserve::Counter polls;   ///< looks at the reactor, an epoll_wait each; at Unix streams, a poll for all
    asioserve::Counter reads;   ///< of transports: recv() and its relatives
    asioserve::Counter writes;  ///< of transports: send() and its relatives
    asioserve::Counter accepts;   ///< connections taken
    asioserve::Counter wake_ups;  ///< of a blocked loop by another thread
};

/// A tuple of all, in the order of LoopMetrics in Python; null with an exception set. GIL held.
PyObject* metrics_of(LoopCore& core);

}  // namespace asioloop
