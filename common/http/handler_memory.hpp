// Memory for one pending operation inside its owner: Asio's own cache does not survive the end of a poll().
//
// Threads: the owner's.
#pragma once

#include <cstddef>
#include <new>

namespace asioserve::http {

template <std::size_t Bytes>
class HandlerMemory {
  public:
    HandlerMemory() = default;
    HandlerMemory(const HandlerMemory&) = delete;
    HandlerMemory& operator=(const HandlerMemory&) = delete;

    /// Memory for one handler: the room inside, if it is free and large enough.
    void* take(std::size_t n) {
        if (used_ || n > Bytes) return ::operator new(n);
        used_ = true;
        return bytes_;
    }
    /// Gives it back.
    void give(void* p) noexcept {
        if (p == bytes_)
            used_ = false;
        else
            ::operator delete(p);
    }

  private:
    alignas(std::max_align_t) std::byte bytes_[Bytes];
    bool used_ = false;
};

/// The allocator that makes Asio use it.
template <class T, std::size_t Bytes>
class HandlerAllocator {
  public:
    /// As the standard wants it.
    using value_type = T;
    /// As the standard wants it.
    template <class U>
    struct rebind {  // NOLINT(readability-identifier-naming): the standard's name
        /// As the standard wants it.
        using other = HandlerAllocator<U, Bytes>;
    };
    /// Takes from `memory`, which outlives it.
    explicit HandlerAllocator(HandlerMemory<Bytes>& memory) noexcept : memory_(&memory) {}
    /// The same memory for another type.
    template <class U>
    HandlerAllocator(const HandlerAllocator<U, Bytes>& o) noexcept  // NOLINT(google-explicit-constructor)
        : memory_(o.memory_) {}
    /// As the standard wants it.
    T* allocate(std::size_t n) { return static_cast<T*>(memory_->take(n * sizeof(T))); }
    /// As the standard wants it.
    void deallocate(T* p, std::size_t) noexcept { memory_->give(p); }
    /// Whether one may free what the other has taken.
    template <class U>
    bool operator==(const HandlerAllocator<U, Bytes>& o) const noexcept {
        return memory_ == o.memory_;
    }

  private:
    template <class, std::size_t>
    friend class HandlerAllocator;
    HandlerMemory<Bytes>* memory_;
};

}  // namespace asioserve::http
