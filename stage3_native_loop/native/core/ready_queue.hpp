// The callbacks that run in this turn or the next: a ring that grows, first in, first out.
//
// Threads: under the GIL, whoever the thread is (call_soon_threadsafe pushes from others).
#pragma once

#include <cstddef>
#include <memory>

#include "common/python/ref.hpp"

namespace asioloop {

struct FdWatch;

/// What the ring can run without a handle.
class NativeCallback {
  public:
    /// In its own context, errors reported. False with an exception set: SystemExit or KeyboardInterrupt.
    virtual bool run(bool write) = 0;

  protected:
    ~NativeCallback() = default;
};

/// A callback that is due. `watch` is set for add_reader and add_writer: it is armed again once the callback
/// has run.
struct Ready {
    /// An asyncio.Handle, or the object that `native` is a part of; the entry owns the reference.
    PyObject* handle = nullptr;
    /// Null for all but descriptors.
    FdWatch* watch = nullptr;
    /// Which side of the watch, or of `native`.
    bool write = false;
    /// Run in place of a handle.
    NativeCallback* native = nullptr;
};

class ReadyQueue {
  public:
    /// Whether nothing is due.
    bool empty() const noexcept { return head_ == tail_; }
    /// How many are due.
    std::size_t size() const noexcept { return tail_ - head_; }

    /// Takes the entry's reference over.
    void push(Ready r) {
        if (size() == capacity_) grow();
        ring_[tail_++ & (capacity_ - 1)] = r;
    }
    /// The first one, with its reference. Not when empty.
    Ready pop() noexcept { return ring_[head_++ & (capacity_ - 1)]; }

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg) {
        for (std::size_t i = head_; i != tail_; ++i)
            if (int r = visit(ring_[i & (capacity_ - 1)].handle, arg)) return r;
        return 0;
    }

  private:
    void grow() {
        // Doubling keeps indices valid under the mask; the positions only ever count up.
        auto bigger = std::make_unique<Ready[]>(capacity_ * 2);
        const std::size_t n = size();
        for (std::size_t i = 0; i < n; ++i) bigger[i] = ring_[(head_ + i) & (capacity_ - 1)];
        ring_ = std::move(bigger);
        capacity_ *= 2;
        head_ = 0;
        tail_ = n;
    }

    std::size_t capacity_ = 256;
    std::unique_ptr<Ready[]> ring_ = std::make_unique<Ready[]>(capacity_);
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
};

}  // namespace asioloop
