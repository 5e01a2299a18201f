// The reading half of Connection: bytes from the socket into a block, and the end of them.

#include <asio/buffer.hpp>
#include <sys/socket.h>

#include <cstring>

#include "common/http/connection.hpp"
#include "common/http/core.hpp"

namespace asioserve::http {
namespace {

constexpr std::size_t least_room = 1024;  // less than this is not worth a read

}  // namespace

/// A handler with its memory inside the connection.
struct Connection::ReadHandler {
    using allocator_type = HandlerAllocator<void, read_memory_bytes>;
    allocator_type get_allocator() const noexcept { return allocator_type(self->read_memory_); }
    void operator()(const asio::error_code& ec) const { self->on_readable(ec); }
    ConnectionPtr self;
};

/// No buffer is held meanwhile: whoever is idle, or waits for its handler, costs only itself.
void Connection::wait_readable() {
    if (reading_ || closed_ || eof_) return;
    reading_ = true;
    socket_.async_wait(Socket::wait_read, ReadHandler{ConnectionPtr(this)});
}

/// Takes what is there, and waits for more if there is nothing.
void Connection::read() {
    if (reading_ || closed_ || eof_ || !make_room()) return;
    asio::error_code ec;
    const std::size_t n =
        socket_.read_some(asio::buffer(block_->data() + filled_, block_->capacity - filled_), ec);
    ++core_.stats().reads;
    if (ec == asio::error::would_block || ec == asio::error::try_again) {
        drop_idle_buffer();
        return wait_readable();
    }
    if (ec == asio::error::eof) {
        on_end_of_input();
    } else if (ec) {
        broken_ = true;
    } else {
        filled_ += n;
        advance();
    }
    drop_idle_buffer();
    core_.touch(*this);
}

void Connection::on_readable(const asio::error_code& ec) {
    reading_ = false;
    if (closed_) return;
    if (ec) {
        broken_ = true;
        return touch();
    }
    read();
}

/// Sees to it that there is room behind filled_. False: it is full of bytes whose time has not come.
bool Connection::make_room() {
    BlockPool& pool = core_.blocks();
    if (!block_) {
        const bool large = body_of_ && body_remaining() > BlockPool::small_bytes;
        block_ = BlockRef(pool, pool.take(large ? BlockPool::large_bytes : BlockPool::small_bytes));
        ++core_.stats().buffers_held;
        parsed_ = filled_ = 0;
        return true;
    }
    const std::size_t room = block_->capacity - filled_;
    if (parsed_ == filled_ && !parser_.inside_head()) {
        const bool large = body_of_ && body_remaining() > room && block_->capacity < BlockPool::large_bytes;
        if (block_->references == 1 && !large) {
            parsed_ = filled_ = 0;
        } else if (large || room < least_room) {  // exchanges still use what is in the old one
            block_ = BlockRef(pool, pool.take(large ? BlockPool::large_bytes : BlockPool::small_bytes));
            parsed_ = filled_ = 0;
        }
        return true;
    }
    if (room != 0) return true;
    if (!parser_.inside_head() || parsed_ != filled_) return false;
    // An unfinished head has to stay in one piece: it moves to a block where it has room to grow.
    const std::size_t head = parser_.head_bytes();
    const char* const from = block_->data() + parsed_ - head;
    BlockRef bigger(pool, pool.take(2 * head));
    std::memcpy(bigger->data(), from, head);
    parser_.relocate(bigger->data() - from, fresh_->lines_);
    block_ = std::move(bigger);
    parsed_ = filled_ = head;
    return true;
}

std::uint64_t Connection::body_remaining() const noexcept {
    const std::int64_t length = static_cast<const HttpExchange*>(body_of_.get())->lines_.content_length;
    if (length < 0)
        return body_bytes_ < BlockPool::small_bytes ? 0 : BlockPool::large_bytes;  // chunked: a guess
    return static_cast<std::uint64_t>(length) - body_bytes_;
}

/// The peer sends nothing more. It may still wait for its answers, which it gets; only a reset says that it
/// is gone.
void Connection::on_end_of_input() {
    eof_ = true;
    if (phase_ == Phase::linger) return close(Broken::peer_left);
    if (!front_) return;
    watch_for_reset();
    // A listener may answer, which changes the queue: one step at a time, over references.
    ExchangePtr at(*front_);
    while (at) {
        auto& x = static_cast<HttpExchange&>(*at);
        ExchangePtr following = x.next ? ExchangePtr(*x.next) : ExchangePtr();
        x.note_peer_ended();
        at = std::move(following);
        if (at && !static_cast<HttpExchange&>(*at).connection_) break;
    }
}

/// What was under way when the input ended, and can no longer become complete.
void Connection::give_up_input() {
    const bool starved =
        phase_ == Phase::collect || (phase_ == Phase::stream && body_exchange()->wants_body_);
    if (starved) {
        const ExchangePtr keep = std::exchange(body_of_, {});
        auto& x = static_cast<HttpExchange&>(*keep);
        phase_ = Phase::stop;
        x.peer_left_ = x.cut_ = x.close_after_ = true;
        if (!x.done_) x.complete();
        if (x.listener_) x.listener_->on_broken(Broken::peer_left);
    } else if (phase_ == Phase::head) {
        if (fresh_) std::exchange(fresh_, nullptr)->release();
        phase_ = Phase::stop;
    } else if (phase_ == Phase::drop) {
        body_of_ = {};
        phase_ = Phase::stop;
    }
}

void Connection::watch_for_reset() {
    socket_.async_wait(Socket::wait_error, [self = ConnectionPtr(this)](const asio::error_code& ec) {
        if (ec || self->closed_) return;
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(self->socket_.native_handle(), SOL_SOCKET, SO_ERROR, &error, &size);
        if (error == 0) return;  // urgent data, which means nothing here
        self->broken_ = true;
        self->touch();
    });
}

/// Nothing in it is waiting: exchanges have references of their own.
void Connection::drop_idle_buffer() {
    if (parsed_ == filled_ && !parser_.inside_head()) drop_buffer();
}

void Connection::drop_buffer() {
    if (block_) --core_.stats().buffers_held;
    block_.reset();
    parsed_ = filled_ = 0;
}

}  // namespace asioserve::http
