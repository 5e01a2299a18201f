#include "common/http/pool.hpp"

#include <new>

namespace asioserve::http {
namespace {

Block* allocate(std::size_t bytes) {
    auto* b = static_cast<Block*>(::operator new(sizeof(Block) + bytes));
    b->references = 1;
    b->capacity = bytes;
    b->next = nullptr;
    return b;
}

void release_all(Block* b) noexcept {
    while (b) ::operator delete(std::exchange(b, b->next));
}

}  // namespace

BlockPool::~BlockPool() {
    release_all(small_);
    release_all(large_);
}

Block* BlockPool::take_other(std::size_t bytes) {
    if (bytes <= small_bytes) return allocate(small_bytes);
    if (bytes > large_bytes) return allocate(bytes);
    if (!large_) return allocate(large_bytes);
    Block* b = std::exchange(large_, large_->next);
    --large_count_;
    b->references = 1;
    show(b);
    return b;
}

void BlockPool::drop_other(Block* b) noexcept {
    if (b->capacity == large_bytes && large_count_ < max_large) {
        b->next = std::exchange(large_, b);
        ++large_count_;
        hide(b);
        return;
    }
    ::operator delete(b);
}

}  // namespace asioserve::http
