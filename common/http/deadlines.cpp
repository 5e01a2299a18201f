#include "common/http/deadlines.hpp"

#include <algorithm>
#include <utility>

namespace asioserve::http {

void Deadlines::queue(Node& node) {
    if (node.due != never) remove(node);
    // Rounded up: a slot is looked at when its tick is over, so that nothing in it is early.
    const std::int64_t wanted = node.deadline / tick + 1;
    const std::int64_t at =
        std::clamp<std::int64_t>(wanted, done_ + 1, done_ + static_cast<std::int64_t>(slots) - 1);
    Node*& head = wheel_[static_cast<std::size_t>(at) % slots];
    node.previous = nullptr;
    node.next = head;
    if (head) head->previous = &node;
    head = &node;
    node.due = at * tick;
    ++queued_;
    next_due_ = std::min(next_due_, node.due);
}

void Deadlines::remove(Node& node) noexcept {
    if (node.due == never) return;
    if (node.next) node.next->previous = node.previous;
    if (node.previous)
        node.previous->next = node.next;
    else
        wheel_[static_cast<std::size_t>(node.due / tick) % slots] = node.next;
    node.due = never;
    node.next = node.previous = nullptr;
    --queued_;
}

void Deadlines::advance(Millis now, FunctionRef<void(Node&)> expired) {
    const std::int64_t last = now / tick;
    if (queued_ == 0) done_ = std::max(done_, last);
    // After a long sleep each slot is visited once, not once per tick that was slept through.
    if (last - done_ > static_cast<std::int64_t>(slots)) done_ = last - static_cast<std::int64_t>(slots);
    while (done_ < last) {
        ++done_;
        Node*& head = wheel_[static_cast<std::size_t>(done_) % slots];
        // One at a time from the front, as `expired` may change the list. What is queued again goes to a
        // later slot.
        while (head) {
            Node& node = *head;
            remove(node);
            if (node.deadline == never) continue;
            if (node.deadline > now)
                queue(node);
            else
                expired(node);
        }
    }
    next_due_ = never;
    if (queued_ == 0) return;
    for (std::int64_t at = done_ + 1; next_due_ == never; ++at)
        if (wheel_[static_cast<std::size_t>(at) % slots]) next_due_ = at * tick;
}

}  // namespace asioserve::http
