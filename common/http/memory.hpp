// Where the memory of connections and exchanges comes from: free lists, so that a request allocates nothing.
//
// Threads: everything belongs to the I/O thread, but the last reference to an exchange may be dropped on
// another one, and after the server is gone. Such exchanges are collected under a lock and taken back by
// reap(). Members: pools, `live_`: I/O thread while it is not orphaned, later mutex_; `returned_`,
// `orphaned_`: mutex_.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "common/http/pool.hpp"

namespace asioserve::http {

class HttpExchange;

/// The texts of both ends of a connection; shared by it and its exchanges, which may outlive it.
struct Ends {
    /// How many share it.
    std::uint32_t references = 0;
    /// As Endpoints has it.
    std::string peer;
    /// As Endpoints has it.
    std::string local;
};

class Memory {
  public:
    /// Lives until the owner has called abandon() and the last exchange is gone.
    static Memory* make() { return new Memory; }
    /// The server is gone: the last exchange frees it all.
    void abandon() noexcept;

    /// Makes the calling thread the one whose calls need no lock.
    void claim_thread() noexcept;

    /// From the free list, with one reference. I/O thread.
    HttpExchange* make_exchange();
    /// Any thread.
    void dispose(HttpExchange* x) noexcept;
    /// Takes back what other threads have dropped. Costs one load when there is nothing.
    void reap() noexcept {
        if (has_returned_.load(std::memory_order_relaxed)) reap_returned();
    }

    /// Of buffers.
    BlockPool blocks;

  private:
    Memory();
    ~Memory();
    void reap_returned() noexcept;
    void recycle(HttpExchange* x) noexcept;

    // What is left of an exchange in the free list: nothing but its room.
    struct Free {
        Free* next;
    };

    const std::uint64_t id_;
    Free* free_ = nullptr;
    std::size_t free_count_ = 0;
    std::size_t live_ = 0;
    std::atomic<bool> has_returned_{false};
    std::mutex mutex_;
    HttpExchange* returned_ = nullptr;
    bool orphaned_ = false;
};

}  // namespace asioserve::http
