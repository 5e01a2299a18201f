// What crosses from one thread to another in batches.
//
// Threads: push() on any thread, take() on the one that receives. No lock, no allocation; items are linked
// through themselves.
#pragma once

#include <atomic>

namespace stage {

class Runner;

/// Something that crosses. Owned by the batch that it is in.
class Item {
  public:
    /// The batch's link.
    Item* next = nullptr;

    /// It has arrived on the other side, which owns it now.
    virtual void arrive(Runner& runner) = 0;
    /// Nobody will receive it: the other side has ended.
    virtual void discard(Runner& runner) = 0;

  protected:
    ~Item() = default;
};

class Batch {
  public:
    /// True: it was empty before, so whoever pushed owes the receiver a wake-up. Sequentially consistent, so
    /// that a push which sees the runner still alive is seen by the runner's last take().
    bool push(Item& item) noexcept {
        Item* head = head_.load(std::memory_order_relaxed);
        do item.next = head;
        while (
            !head_.compare_exchange_weak(head, &item, std::memory_order_seq_cst, std::memory_order_relaxed));
        return head == nullptr;
    }

    /// All that has come, in the order in which it came; null: nothing.
    Item* take() noexcept {
        Item* newest = head_.exchange(nullptr, std::memory_order_seq_cst);
        Item* oldest = nullptr;
        while (newest) {
            Item* older = newest->next;
            newest->next = oldest;
            oldest = newest;
            newest = older;
        }
        return oldest;
    }

  private:
    std::atomic<Item*> head_{nullptr};
};

}  // namespace stage
