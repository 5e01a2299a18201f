// Blocks of bytes with a count of their users, kept for reuse; what a connection reads into and gathers
// answers in.
//
// Threads: one at a time (see memory.hpp); the counts are plain.
#pragma once

#include <cstddef>
#include <utility>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace asioserve::http {

/// A block; its bytes follow it in memory.
struct alignas(16) Block {
    /// How many BlockRef there are.
    std::size_t references;
    /// Bytes of data.
    std::size_t capacity;
    /// In the free list.
    Block* next;

    /// The bytes behind the head.
    char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
};

/// Keeps blocks of two sizes: small ones for heads and answers, large ones for bodies. Other sizes come and
/// go.
class BlockPool {
  public:
    /// What nearly every request fits into.
    static constexpr std::size_t small_bytes = 8 * 1024 - sizeof(Block);
    /// For bodies and large heads.
    static constexpr std::size_t large_bytes = 64 * 1024 - sizeof(Block);

    BlockPool() = default;
    BlockPool(const BlockPool&) = delete;
    BlockPool& operator=(const BlockPool&) = delete;
    ~BlockPool();

    /// A block of one reference with room for at least `bytes`.
    Block* take(std::size_t bytes) {
        if (bytes <= small_bytes && small_) {
            Block* b = std::exchange(small_, small_->next);
            --small_count_;
            b->references = 1;
            show(b);
            return b;
        }
        return take_other(bytes);
    }
    /// Drops a reference; the last one gives the block back.
    void drop(Block* b) noexcept {
        if (--b->references != 0) return;
        if (b->capacity == small_bytes && small_count_ < max_small) {
            b->next = std::exchange(small_, b);
            ++small_count_;
            hide(b);
            return;
        }
        drop_other(b);
    }

  private:
    // What stays allocated after a burst: 2 MiB and 0.5 MiB.
    static constexpr std::size_t max_small = 256;
    static constexpr std::size_t max_large = 8;

    // To AddressSanitizer a kept block would be memory in use: whoever still looked into it would go unseen.
#ifdef __SANITIZE_ADDRESS__
    static void hide(Block* b) noexcept {
        __asan_poison_memory_region(b->data(), b->capacity);
    }
    static void show(Block* b) noexcept {
        __asan_unpoison_memory_region(b->data(), b->capacity);
    }
#else
    static void hide(Block*) noexcept {}
    static void show(Block*) noexcept {}
#endif

    Block* take_other(std::size_t bytes);
    void drop_other(Block* b) noexcept;

    Block* small_ = nullptr;
    Block* large_ = nullptr;
    std::size_t small_count_ = 0;
    std::size_t large_count_ = 0;
};

/// A counted reference to a block, or none.
class BlockRef {
  public:
    BlockRef() = default;
    /// Adopts a reference of the caller's.
    BlockRef(BlockPool& pool, Block* taken) noexcept : pool_(&pool), block_(taken) {}
    /// Shares the block.
    BlockRef(const BlockRef& o) noexcept : pool_(o.pool_), block_(o.block_) {
        if (block_) ++block_->references;
    }
    /// Takes it over.
    BlockRef(BlockRef&& o) noexcept : pool_(o.pool_), block_(std::exchange(o.block_, nullptr)) {}
    /// Shares or takes over.
    BlockRef& operator=(BlockRef o) noexcept {
        std::swap(pool_, o.pool_);
        std::swap(block_, o.block_);
        return *this;
    }
    ~BlockRef() { reset(); }
    /// Lets go of it; the last one gives it back to the pool.
    void reset() noexcept {
        if (block_) pool_->drop(std::exchange(block_, nullptr));
    }
    /// Whether there is one.
    explicit operator bool() const noexcept { return block_ != nullptr; }
    /// The block; not when empty.
    Block* operator->() const noexcept { return block_; }
    /// The block; null when empty.
    Block* get() const noexcept { return block_; }

  private:
    BlockPool* pool_ = nullptr;
    Block* block_ = nullptr;
};

}  // namespace asioserve::http
