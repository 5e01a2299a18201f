#include "common/http/memory.hpp"

#include <new>

#include "common/http/http_exchange.hpp"

namespace asioserve::http {
namespace {

constexpr std::size_t max_free = 1024;  // about 1 MiB that stays after a burst

/// Whose calls on this thread need no lock; of several servers on one thread, the last. A number and not the
/// address, which a later one may have again.
thread_local std::uint64_t memory_of_this_thread = 0;
std::atomic<std::uint64_t> last_memory{0};

}  // namespace

Memory::Memory() : id_(last_memory.fetch_add(1) + 1) {}

void Memory::claim_thread() noexcept {
    memory_of_this_thread = id_;
}

HttpExchange* Memory::make_exchange() {
    ++live_;
    if (!free_) return new HttpExchange(*this);
    Free* const room = free_;
    free_ = room->next;
    --free_count_;
    return new (static_cast<void*>(room)) HttpExchange(*this);
}

void Memory::recycle(HttpExchange* x) noexcept {
    x->~HttpExchange();
    --live_;
    if (free_count_ == max_free) {
        ::operator delete(static_cast<void*>(x));
        return;
    }
    free_ = new (static_cast<void*>(x)) Free{free_};
    ++free_count_;
}

void Memory::dispose(HttpExchange* x) noexcept {
    if (memory_of_this_thread == id_) return recycle(x);
    bool last = false;
    {
        const std::lock_guard lock(mutex_);
        if (orphaned_) {
            recycle(x);
            last = live_ == 0;
        } else {
            x->next = returned_;
            returned_ = x;
            has_returned_.store(true, std::memory_order_relaxed);
        }
    }
    if (last) delete this;
}

void Memory::reap_returned() noexcept {
    HttpExchange* x;
    {
        const std::lock_guard lock(mutex_);
        x = std::exchange(returned_, nullptr);
        has_returned_.store(false, std::memory_order_relaxed);
    }
    while (x) recycle(std::exchange(x, x->next));
}

void Memory::abandon() noexcept {
    if (memory_of_this_thread == id_) memory_of_this_thread = 0;
    bool last;
    {
        const std::lock_guard lock(mutex_);
        orphaned_ = true;
        HttpExchange* x = std::exchange(returned_, nullptr);
        while (x) recycle(std::exchange(x, x->next));
        last = live_ == 0;
    }
    if (last) delete this;
}

Memory::~Memory() {
    while (free_) ::operator delete(static_cast<void*>(std::exchange(free_, free_->next)));
}

}  // namespace asioserve::http
