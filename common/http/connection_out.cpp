// The sending half of Connection, and its end.

#include <asio/buffer.hpp>
#include <sys/socket.h>

#include <array>

#include "common/http/connection.hpp"
#include "common/http/core.hpp"

namespace asioserve::http {
namespace {

constexpr Millis linger_time =
    2000;  // for the peer to read our last answer; a reset could destroy it on its way

}  // namespace

/// Whether `x` is the last one that this connection answers, for reasons of the connection.
bool Connection::closes_after(const HttpExchange& x) const noexcept {
    if (core_.limits().keep_alive.count() == 0) return true;
    if (body_of_.get() == &x && !x.body_over_) {
        // The rest of its body is in the way of the next request.
        if (x.continue_due_) return true;
        const std::int64_t length = x.lines_.content_length;
        if (length > 0 && static_cast<std::uint64_t>(length) - body_bytes_ > drop_bytes) return true;
    }
    return core_.draining() && back_ == &x && phase_ != Phase::held && (parsed_ == filled_ || body_of_);
}

/// Sends `body` behind what is in out_, at once and without a copy as far as the socket takes it.
void Connection::send_directly(std::string_view body) {
    if (write_armed_ || broken_ || closed_) return out_.append(core_.blocks(), body);
    const std::array<asio::const_buffer, 2> parts{
        out_.empty() ? asio::const_buffer() : asio::const_buffer(out_.data(), out_.size()),
        asio::const_buffer(body.data(), body.size())};
    asio::error_code ec;
    const std::size_t n = socket_.write_some(parts, ec);
    ++core_.stats().sends;
    if (ec && ec != asio::error::would_block && ec != asio::error::try_again) {
        broken_ = true;
        return out_.clear();
    }
    const std::size_t of_out = std::min(n, out_.size());
    if (of_out != 0) out_.consume(of_out);
    out_.append(core_.blocks(), body.substr(n - of_out));
}

void Connection::wrote(HttpExchange& x) {
    if (&x != front_) return;
    if (!core_.options().deferred_sends) send();
    touch();
}

/// `x` is answered; if it is in front, so may be others behind it.
void Connection::finished(HttpExchange& x) {
    if (&x == front_) pop_finished();
    if (!core_.options().deferred_sends) send();
    touch();
}

void Connection::pop_finished() {
    while (front_ && front_->done_ && !closing_) {
        HttpExchange& x = *front_;
        front_ = x.next;
        --queued_;
        if (!x.lines_.safe) --unsafe_;
        if (x.close_after_) {
            closing_ = true;
            reset_ = x.cut_ && x.until_close_;
            linger_ = linger_ || body_of_.get() == &x;
            if (phase_ != Phase::drop) phase_ = Phase::stop;
        }
        x.connection_ = nullptr;
        core_.answered(x, x.status_, x.sent_bytes_, x.started_);
        x.release();
        if (front_ && !front_->waiting_.empty()) {
            if (out_.empty()) {
                out_ = std::move(front_->waiting_);
            } else {
                out_.append(core_.blocks(), front_->waiting_.view());
                front_->waiting_.clear();
            }
        }
    }
}

std::int64_t Connection::credit_of(const HttpExchange& x) const noexcept {
    const std::size_t unsent = &x == front_ ? out_.size() : x.waiting_.size();
    return static_cast<std::int64_t>(core_.limits().send_buffer_bytes) - static_cast<std::int64_t>(unsent);
}

Connection::Read Connection::turn() {
    if (closed_) return Read::no;
    in_turn_ = true;
    if (!broken_) {
        if (resumable()) advance();
        send();
    }
    settle();
    in_turn_ = false;
    if (closed_) return Read::no;
    if (unsettled()) core_.touch(*this);
    const Read read = next_read();
    return reading_ ? Read::no : read;
}

/// Whether a callback at the end of the turn has made work for another one.
bool Connection::unsettled() const noexcept {
    return broken_ || resumable() || (out_.empty() ? closing_ && phase_ != Phase::linger : !write_armed_);
}

void Connection::send() {
    if (write_armed_ || broken_ || closed_) return;
    while (!out_.empty()) {
        asio::error_code ec;
        const std::size_t n = socket_.write_some(asio::const_buffer(out_.data(), out_.size()), ec);
        ++core_.stats().sends;
        if (ec == asio::error::would_block || ec == asio::error::try_again) return;
        if (ec) {
            broken_ = true;
            return out_.clear();
        }
        out_.consume(n);
    }
}

/// After a send: waits for the peer, closes, or tells a producer that there is room.
void Connection::settle() {
    if (closed_) return;
    if (broken_) return close(Broken::peer_left);
    if (!out_.empty()) {
        if (!write_armed_) arm_write();
    } else {
        if (write_deadline_ != never) {
            write_deadline_ = never;
            set_deadline();
        }
        if (closing_) return finish_close();
        if (eof_ && !resumable()) {
            give_up_input();
            if (closed_ || (!front_ && out_.empty())) return close(Broken::peer_left);
        }
    }
    if (!front_ || !front_->out_of_credit_ || out_.size() > core_.limits().send_buffer_bytes / 2) return;
    front_->out_of_credit_ = false;
    if (front_->listener_) front_->listener_->on_send_credit();
}

void Connection::arm_write() {
    write_armed_ = true;
    if (core_.limits().write_time.count() != 0) {
        write_deadline_ = core_.now() + core_.limits().write_time.count();
        set_deadline();
    }
    socket_.async_wait(Socket::wait_write,
                       [self = ConnectionPtr(this)](const asio::error_code& ec) { self->on_writable(ec); });
}

void Connection::on_writable(const asio::error_code& ec) {
    write_armed_ = false;
    if (closed_) return;
    if (ec && ec != asio::error::operation_aborted) broken_ = true;
    touch();
}

/// Everything is sent, and it was the last.
void Connection::finish_close() {
    if (phase_ == Phase::linger) return;
    if (reset_ || eof_ || !(linger_ || parsed_ != filled_)) return close(Broken::peer_left);
    asio::error_code ec;
    socket_.shutdown(Socket::shutdown_send, ec);
    if (ec) return close(Broken::peer_left);
    phase_ = Phase::linger;
    parsed_ = filled_;
    body_of_ = {};
    body_bytes_ = 0;
    await(Wait::linger, core_.now() + linger_time);
}

void Connection::close(Broken why) {
    if (closed_) return;
    closed_ = true;
    asio::error_code ignored;
    if (reset_) socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
    core_.deadlines().remove(node);
    out_.clear();
    drop_buffer();
    body_of_ = {};
    if (fresh_) std::exchange(fresh_, nullptr)->release();
    while (front_) {
        HttpExchange& x = *front_;
        front_ = x.next;
        x.connection_ = nullptr;
        core_.answered(x, x.done_ ? x.status_ : 0, x.sent_bytes_, x.started_);
        if (!x.done_) {
            x.peer_left_ = true;
            if (x.listener_) x.listener_->on_broken(why);
        }
        x.release();
    }
    queued_ = 0;
    core_.gone(*this);
}

}  // namespace asioserve::http
