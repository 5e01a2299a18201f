// Timers by due time: a binary heap with lazy cancellation. Takes `now`, asks no clock: tests step it by
// hand.
//
// Threads: none of its own; the loop uses it under the GIL.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace asioloop {

/// Payload is a pointer-like value. Equal times come out in the order in which they were added.
template <class Payload>
class TimerHeap {
  public:
    /// A timer.
    struct Entry {
        double when;  ///< seconds on the loop's clock
        /// In which order it was added.
        std::uint64_t sequence;
        /// Whose timer it is.
        Payload payload;
    };

    /// Whether there is none, dead or alive.
    bool empty() const noexcept { return heap_.empty(); }
    /// Dead ones are counted.
    std::size_t size() const noexcept { return heap_.size(); }
    /// The earliest one. Not when empty.
    const Entry& head() const noexcept { return heap_.front(); }

    /// Adds a timer.
    void push(double when, Payload payload) {
        heap_.push_back({when, sequence_++, payload});
        std::push_heap(heap_.begin(), heap_.end(), later);
    }

    /// Takes the earliest one out. Not when empty.
    Payload pop() {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        Payload p = heap_.back().payload;
        heap_.pop_back();
        return p;
    }

    /// Notes that one more entry is dead. True: most are, so that compact() pays for itself.
    bool note_cancelled() noexcept { return ++cancelled_ > kCompactAbove && cancelled_ * 2 > heap_.size(); }
    /// A dead entry was popped: there is one fewer to sweep.
    void note_dead_popped() noexcept {
        if (cancelled_ > 0) --cancelled_;
    }

    /// Removes what `dead(payload)` says is dead, which also disposes of it. O(n).
    template <class Dead>
    void compact(Dead dead) {
        heap_.erase(std::remove_if(heap_.begin(), heap_.end(), [&](Entry& e) { return dead(e.payload); }),
                    heap_.end());
        std::make_heap(heap_.begin(), heap_.end(), later);
        cancelled_ = 0;
    }

    /// Calls visit(payload, arg) on all, until one returns other than 0 (tp_traverse).
    template <class Visit, class Arg>
    int traverse(Visit visit, Arg arg) {
        for (const Entry& e : heap_)
            if (int r = visit(e.payload, arg)) return r;
        return 0;
    }

  private:
    static bool later(const Entry& a, const Entry& b) noexcept {
        return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
    }
    // Below this many a compaction costs more than the dead entries do.
    static constexpr std::size_t kCompactAbove = 100;

    std::vector<Entry> heap_;
    std::uint64_t sequence_ = 0;
    std::size_t cancelled_ = 0;
};

}  // namespace asioloop
