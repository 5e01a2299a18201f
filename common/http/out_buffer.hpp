// Bytes on their way out: appended at one end, sent from the other. Holds no memory while it is empty.
//
// Threads: I/O thread.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>
#include <utility>

#include "common/http/pool.hpp"

namespace asioserve::http {

class OutBuffer {
  public:
    OutBuffer() = default;
    /// Takes the other one's bytes over.
    OutBuffer(OutBuffer&& o) noexcept
        : block_(std::move(o.block_)), begin_(std::exchange(o.begin_, 0)), end_(std::exchange(o.end_, 0)) {}
    /// Takes the other one's bytes over.
    OutBuffer& operator=(OutBuffer&& o) noexcept {
        block_ = std::move(o.block_);
        begin_ = std::exchange(o.begin_, 0);
        end_ = std::exchange(o.end_, 0);
        return *this;
    }

    /// Whether there is nothing to send.
    bool empty() const noexcept { return begin_ == end_; }
    /// Bytes to send.
    std::size_t size() const noexcept { return end_ - begin_; }
    /// The first of them.
    const char* data() const noexcept { return block_->data() + begin_; }
    /// All of them.
    std::string_view view() const noexcept {
        return empty() ? std::string_view() : std::string_view(data(), size());
    }

    /// Room for `bytes` more; write there, then commit() what was used.
    char* reserve(BlockPool& pool, std::size_t bytes) {
        if (!block_ || block_->capacity - end_ < bytes) grow(pool, bytes);
        return block_->data() + end_;
    }
    /// So many bytes of the room that was asked for are filled.
    void commit(std::size_t bytes) noexcept { end_ += bytes; }
    /// Copies bytes to the end.
    void append(BlockPool& pool, std::string_view bytes) {
        if (bytes.empty()) return;
        std::memcpy(reserve(pool, bytes.size()), bytes.data(), bytes.size());
        commit(bytes.size());
    }
    /// The first `bytes` are sent.
    void consume(std::size_t bytes) noexcept {
        begin_ += bytes;
        if (begin_ == end_) clear();
    }
    /// Drops all, and gives the block back.
    void clear() noexcept {
        block_.reset();
        begin_ = end_ = 0;
    }

  private:
    void grow(BlockPool& pool, std::size_t bytes);

    BlockRef block_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace asioserve::http
