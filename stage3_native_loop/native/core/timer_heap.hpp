// Timers by due time, with lazy cancellation. Takes `now`, asks no clock: tests step it by hand.
//
// A program has few different time-outs, and each timer of the same length is due after the one before: such
// a timer goes to the end of a sorted run, and never through a heap. What is due before the run's last one
// goes to a binary heap.
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
    bool empty() const noexcept { return size() == 0; }
    /// Dead ones are counted.
    std::size_t size() const noexcept { return heap_.size() + run_.size() - first_; }
    /// The earliest one. Not when empty.
    const Entry& head() const noexcept { return run_is_first() ? run_[first_] : heap_.front(); }

    /// Adds a timer.
    void push(double when, Payload payload) {
        const Entry e{when, sequence_++, payload};
        if (first_ == run_.size() || when >= run_.back().when) {
            run_.push_back(e);
            return;
        }
        heap_.push_back(e);
        std::push_heap(heap_.begin(), heap_.end(), later);
    }

    /// Takes the earliest one out. Not when empty.
    Payload pop() {
        if (run_is_first()) return pop_run();
        std::pop_heap(heap_.begin(), heap_.end(), later);
        Payload p = heap_.back().payload;
        heap_.pop_back();
        return p;
    }

    /// Notes that one more entry is dead. True: most are, so that compact() pays for itself.
    bool note_cancelled() noexcept { return ++cancelled_ > kCompactAbove && cancelled_ * 2 > size(); }
    /// A dead entry was popped: there is one fewer to sweep.
    void note_dead_popped() noexcept {
        if (cancelled_ > 0) --cancelled_;
    }

    /// Takes out what `dead(payload)` says is dead, and gives it to the caller to dispose of. O(n).
    template <class Dead>
    std::vector<Payload> compact(Dead dead) {
        std::vector<Payload> gone;
        const auto sweep = [&](Entry& e) {
            if (!dead(e.payload)) return false;
            gone.push_back(e.payload);
            return true;
        };
        forget_popped();
        run_.erase(std::remove_if(run_.begin(), run_.end(), sweep), run_.end());
        heap_.erase(std::remove_if(heap_.begin(), heap_.end(), sweep), heap_.end());
        std::make_heap(heap_.begin(), heap_.end(), later);
        cancelled_ = 0;
        return gone;
    }

    /// Calls visit(payload, arg) on all, until one returns other than 0 (tp_traverse).
    template <class Visit, class Arg>
    int traverse(Visit visit, Arg arg) {
        for (std::size_t i = first_; i < run_.size(); ++i)
            if (int r = visit(run_[i].payload, arg)) return r;
        for (const Entry& e : heap_)
            if (int r = visit(e.payload, arg)) return r;
        return 0;
    }

  private:
    static bool later(const Entry& a, const Entry& b) noexcept {
        return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
    }
    bool run_is_first() const noexcept {
        return first_ < run_.size() && (heap_.empty() || later(heap_.front(), run_[first_]));
    }
    Payload pop_run() {
        Payload p = run_[first_++].payload;
        // Moved down when most of it is popped: once for each entry, on average.
        if (first_ * 2 > run_.size()) forget_popped();
        return p;
    }
    void forget_popped() {
        run_.erase(run_.begin(), run_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
    // Below this many a compaction costs more than the dead entries do.
    static constexpr std::size_t kCompactAbove = 100;

    std::vector<Entry> heap_;
    std::vector<Entry> run_;  // sorted; what is before first_ is popped
    std::size_t first_ = 0;
    std::uint64_t sequence_ = 0;
    std::size_t cancelled_ = 0;
};

}  // namespace asioloop
