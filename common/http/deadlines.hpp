// Deadlines of many connections at the price of a stored number: a coarse wheel that looks again when a slot
// is due.
//
// A node stays where it was queued when its deadline moves into the future, the usual case (each request does
// that); when its slot comes, it is queued again for what its deadline is by then. Pure: the caller brings
// the time, so that tests step a clock by hand. Threads: one at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/runner/function.hpp"

namespace asioserve::http {

/// Milliseconds of a steady clock.
using Millis = std::int64_t;
/// A deadline that does not come.
inline constexpr Millis never = std::numeric_limits<Millis>::max();

class Deadlines {
  public:
    static constexpr Millis tick = 50;  ///< a deadline is noticed at most this much late

    /// Belongs to one connection.
    struct Node {
        /// Of its slot's list.
        Node* next = nullptr;
        /// Of its slot's list.
        Node* previous = nullptr;
        /// Whose deadline it is.
        void* owner = nullptr;
        /// When it is due.
        Millis deadline = never;
        Millis due = never;  ///< when its slot is looked at; never: not queued
    };

    /// Begins at `now`.
    explicit Deadlines(Millis now) : done_(now / tick) {}

    /// Sets a deadline, or none (`never`). Moving it into the future costs a store.
    void set(Node& node, Millis deadline) {
        node.deadline = deadline;
        if (deadline < node.due) queue(node);
    }
    /// Takes it out, if it is in.
    void remove(Node& node) noexcept;

    /// Calls `expired` for each node whose deadline has passed; it may set() and remove() any node.
    void advance(Millis now, FunctionRef<void(Node&)> expired);

    /// When advance() may have something to do; never: nothing is queued. Perhaps too early.
    Millis next_due() const noexcept { return next_due_; }

  private:
    static constexpr std::size_t slots = 256;  // 12.8 s; what is further away is looked at in between

    void queue(Node& node);

    std::array<Node*, slots> wheel_{};
    std::int64_t done_;  ///< the last tick that was handled
    std::size_t queued_ = 0;
    Millis next_due_ = never;
};

}  // namespace asioserve::http
