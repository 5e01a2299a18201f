// The explanation of the speed: what each design does per request besides the request itself.
#pragma once

#include <atomic>
#include <cstdint>

namespace asioserve {

/// Totals since the start of the program.
struct Counters {
    std::uint64_t requests = 0;          ///< exchanges started by the runner
    std::uint64_t gil_acquisitions = 0;  ///< asked for by the runner, plus one per wake-up of the Python loop
    std::uint64_t hand_offs = 0;         ///< times that a request or answer changed threads
    std::uint64_t wake_ups = 0;          ///< system calls made to wake another thread
    std::uint64_t tasks = 0;             ///< asyncio tasks made for requests
};

/// A counter with one writer. Readers on other threads see a value that is a moment old; costs a plain add.
class Counter {
  public:
    /// Counts up. By its one writer.
    void add(std::uint64_t n = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    /// For a maximum in place of a total. By its one writer.
    void raise_to(std::uint64_t n) noexcept {
        if (n > get()) value_.store(n, std::memory_order_relaxed);
    }
    /// The total so far. Any thread.
    std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

}  // namespace asioserve
