#include "common/http/connection.hpp"

#include <asio/buffer.hpp>

#include <algorithm>
#include <cstring>

#include "common/http/core.hpp"

namespace asioserve::http {
namespace {

constexpr std::string_view plain_text = "text/plain; charset=utf-8";
constexpr std::size_t least_room = 1024;  // less than this is not worth a read
// A handler that takes longer than this is looked after in case its peer leaves. Shorter ones, nearly all,
// are spared a system call that finds nothing.
constexpr Millis watch_after = 100;

}  // namespace

Connection::Connection(Server::Core& core, Socket socket, Ends* ends)
    : core_(core), socket_(std::move(socket)), ends_(ends), parser_(core.limits().head_bytes) {
    ++ends_->references;
}

Connection::~Connection() {
    if (--ends_->references == 0) delete ends_;
}

/// A handler with its memory inside the connection.
struct Connection::ReadHandler {
    using allocator_type = HandlerAllocator<void, read_memory_bytes>;
    allocator_type get_allocator() const noexcept { return allocator_type(self->read_memory_); }
    void operator()(const asio::error_code& ec) const { self->on_readable(ec); }
    ConnectionPtr self;
};

void Connection::touch() {
    if (!in_turn_) core_.touch(*this);
}

// --- reading
// --------------------------------------------------------------------------------------------------

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

void Connection::advance() {
    if (advancing_) return;  // an answer from inside: the loop below goes on anyway
    advancing_ = true;
    while (!closed_ && !broken_ && step()) {
    }
    advancing_ = false;
}

/// Takes the next thing out of what has been read. False: nothing more can be done now.
bool Connection::step() {
    switch (phase_) {
        case Phase::head:
            return step_head();
        case Phase::held:
            if (!may_start(*fresh_)) return false;
            start_request();
            return true;
        case Phase::collect:
            return step_collect();
        case Phase::stream:
            return step_stream();
        case Phase::drop:
            return step_drop();
        case Phase::stop:
            parsed_ = filled_;
            return false;
        case Phase::linger:
            body_bytes_ += filled_ - parsed_;
            parsed_ = filled_;
            if (body_bytes_ > drop_bytes) close(Broken::peer_left);
            return false;
    }
    return false;
}

/// Whether advance() would get anywhere.
bool Connection::resumable() const noexcept {
    const bool bytes = parsed_ != filled_;
    const auto* body = static_cast<const HttpExchange*>(body_of_.get());
    switch (phase_) {
        case Phase::head:
            return bytes && queued_ < core_.limits().pipelined;
        case Phase::held:
            return may_start(*fresh_);
        case Phase::stream:
            return body->done_ || (body->wants_body_ && bytes);
        case Phase::drop:
            return body->body_over_ || (body->done_ && bytes);
        default:
            return false;
    }
}

RequestParser::Event Connection::feed(HttpExchange& x) {
    if (!block_) {
        char nothing = 0;
        char* at = &nothing;
        return parser_.feed(at, at, x.lines_);
    }
    char* at = block_->data() + parsed_;
    const RequestParser::Event event = parser_.feed(at, block_->data() + filled_, x.lines_);
    parsed_ = static_cast<std::size_t>(at - block_->data());
    return event;
}

bool Connection::step_head() {
    if (parsed_ == filled_ || queued_ >= core_.limits().pipelined) return false;
    if (!fresh_) {
        fresh_ = core_.memory().make_exchange();
        fresh_->join(*this, *ends_, core_.next_id());
    }
    switch (feed(*fresh_)) {
        case RequestParser::Event::more:
            if (wait_ != Wait::head) {
                const Millis time = core_.limits().header_time.count();
                const bool since_accept = first_ && wait_ == Wait::idle;
                await(Wait::head, time == 0 ? never : since_accept ? idle_end_ : core_.now() + time);
            }
            return false;
        case RequestParser::Event::refused:
            refuse(parser_.refusal().status, parser_.refusal().reason, Broken::malformed);
            return true;
        default:
            break;
    }
    first_ = false;
    if (may_start(*fresh_))
        start_request();
    else
        phase_ = Phase::held;
    return true;
}

/// RFC 9112 section 9.3.2: what runs together must not depend on the order.
bool Connection::may_start(const HttpExchange& x) const noexcept {
    return queued_ == 0 || (unsafe_ == 0 && x.lines_.safe && queued_ < core_.limits().pipelined);
}

void Connection::enqueue(HttpExchange& x) {
    x.next = nullptr;
    (front_ ? back_->next : front_) = &x;
    back_ = &x;
    ++queued_;
    if (!x.lines_.safe) ++unsafe_;
    core_.started(x);
    if (core_.options().access_log) x.started_ = std::chrono::steady_clock::now();
}

void Connection::start_request() {
    HttpExchange& x = *fresh_;
    x.publish_head(block_);
    const std::int64_t length = x.lines_.content_length;
    if (length > core_.limits().body_bytes && core_.limits().body_bytes != 0)
        return refuse(413, "the body is too large", Broken::too_large);
    fresh_ = nullptr;
    enqueue(x);
    // From here on x may be gone as soon as it is answered, unless its body follows.
    phase_ = x.lines_.keep_alive ? Phase::head : Phase::stop;
    if (length != 0) begin_body(x, Phase::drop);
    if (x.lines_.path == "*") return x.answer({.status = 200, .content_type = {}, .body = {}});
    const Routed routed = core_.handler().route(x);
    if (routed.kind == Kind::answered) return;
    if (length != 0 && phase_ == Phase::drop && routed.body != BodyMode::ignore) {
        phase_ = routed.body == BodyMode::collect ? Phase::collect : Phase::stream;
        if (phase_ == Phase::collect) {
            x.kind_ = routed.kind;
            return send_continue(x);
        }
    }
    core_.runner().start(ExchangePtr(x), routed.kind);
}

void Connection::begin_body(HttpExchange& x, Phase phase) {
    phase_ = phase;
    body_of_ = ExchangePtr(x);
    body_bytes_ = 0;
    body_left_ = core_.limits().body_time.count();
}

/// The body has been read to its end: on to the next request.
void Connection::end_body() {
    phase_ = body_exchange()->lines_.keep_alive && !closing_ ? Phase::head : Phase::stop;
    body_of_ = {};
}

void Connection::send_continue(HttpExchange& x) {
    if (!x.continue_due_ || x.begun_) return;
    x.continue_due_ = false;
    out_for(x).append(core_.blocks(), "HTTP/1.1 100 Continue\r\n\r\n");
    wrote(x);
}

bool Connection::step_collect() {
    HttpExchange& x = *body_exchange();
    // A body with a length ends without a further byte, but llhttp has to be asked.
    if (parsed_ == filled_ && static_cast<std::int64_t>(body_bytes_) != x.lines_.content_length) return false;
    switch (feed(x)) {
        case RequestParser::Event::body:
            body_bytes_ += parser_.body().size();
            if (body_bytes_ > static_cast<std::uint64_t>(core_.limits().body_bytes) &&
                core_.limits().body_bytes != 0)
                refuse(413, "the body is too large", Broken::too_large);
            else
                collect(x, parser_.body());
            return true;
        case RequestParser::Event::end: {
            const ExchangePtr keep = body_of_;
            end_body();
            core_.runner().start(keep, x.kind_);
            return true;
        }
        case RequestParser::Event::refused:
            refuse(parser_.refusal().status, parser_.refusal().reason, Broken::malformed);
            return true;
        default:
            return false;
    }
}

/// A body in one piece right behind its head stays where it is; any other is put together in a buffer of its
/// own.
void Connection::collect(HttpExchange& x, std::string_view piece) {
    if (x.collected_.empty() && x.block_.get() == block_.get() &&
        (x.body_.empty() || x.body_.data() + x.body_.size() == piece.data())) {
        x.body_ = {x.body_.empty() ? piece.data() : x.body_.data(), x.body_.size() + piece.size()};
        return;
    }
    if (x.collected_.empty()) {
        // Not the announced length at once: a peer must not get memory for a promise.
        const auto announced = static_cast<std::uint64_t>(std::max<std::int64_t>(x.lines_.content_length, 0));
        x.collected_.reserve(core_.blocks(), std::min<std::uint64_t>(announced, 1024 * 1024));
        x.collected_.append(core_.blocks(), x.body_);
    }
    x.collected_.append(core_.blocks(), piece);
    x.body_ = x.collected_.view();
}

bool Connection::step_stream() {
    HttpExchange& x = *body_exchange();
    if (x.done_) {
        phase_ = Phase::drop;
        return true;
    }
    if (!x.wants_body_ || (parsed_ == filled_)) return false;
    const ExchangePtr keep = body_of_;
    switch (feed(x)) {
        case RequestParser::Event::body: {
            const std::string_view piece = parser_.body();
            body_bytes_ += piece.size();
            if (body_bytes_ > static_cast<std::uint64_t>(core_.limits().body_bytes) &&
                core_.limits().body_bytes != 0) {
                refuse(413, "the body is too large", Broken::too_large);
                return true;
            }
            const bool last = static_cast<std::int64_t>(body_bytes_) == x.lines_.content_length;
            x.wants_body_ = false;
            if (last) {  // what is left is llhttp's own end of the message
                x.body_over_ = true;
                phase_ = Phase::drop;
            }
            if (x.listener_) x.listener_->on_body(piece, last);
            return true;
        }
        case RequestParser::Event::end:
            x.wants_body_ = false;
            x.body_over_ = true;
            end_body();
            if (x.listener_) x.listener_->on_body({}, true);
            return true;
        case RequestParser::Event::refused:
            refuse(parser_.refusal().status, parser_.refusal().reason, Broken::malformed);
            return true;
        default:
            return false;
    }
}

bool Connection::step_drop() {
    HttpExchange& x = *body_exchange();
    if (closing_) {
        phase_ = Phase::stop;
        return true;
    }
    if (!x.body_over_ && (!x.done_ || parsed_ == filled_)) return false;
    switch (feed(x)) {
        case RequestParser::Event::body:
            body_bytes_ += parser_.body().size();
            if (body_bytes_ > drop_bytes && !x.body_over_) {
                closing_ = linger_ = true;
                phase_ = Phase::stop;
            }
            return true;
        case RequestParser::Event::end:
            end_body();
            return true;
        case RequestParser::Event::refused:
            refuse(parser_.refusal().status, parser_.refusal().reason, Broken::malformed);
            return true;
        default:
            return false;
    }
}

/// Ends the reading with an answer of our own, where there is still one to give, behind those in front.
void Connection::refuse(int status, std::string_view reason, Broken why) {
    phase_ = Phase::stop;
    linger_ = true;
    parsed_ = filled_;
    await(Wait::nothing, never);
    ++core_.stats().refused;
    if (body_of_) {
        const ExchangePtr keep = std::exchange(body_of_, {});
        auto& x = static_cast<HttpExchange&>(*keep);
        if (x.done_) {
            x.close_after_ = true;
            if (!x.connection_) closing_ = true;
            return touch();
        }
        x.close_after_ = true;
        if (x.begun_)
            x.fail();
        else
            x.answer({.status = status, .content_type = plain_text, .body = reason});
        if (x.listener_) x.listener_->on_broken(why);
        return;
    }
    if (!fresh_) {
        fresh_ = core_.memory().make_exchange();
        fresh_->join(*this, *ends_, core_.next_id());
    }
    HttpExchange& x = *std::exchange(fresh_, nullptr);
    enqueue(x);
    x.close_after_ = true;
    x.answer({.status = status, .content_type = plain_text, .body = reason});
}

void Connection::body_wanted(HttpExchange& x) {
    // None, or one that was not to be streamed: it is over before it begins.
    if (body_of_.get() != &x || phase_ == Phase::drop) return core_.deliver_end(x);
    send_continue(x);
    touch();
}

// --- what comes next
// ------------------------------------------------------------------------------------------

/// What the reading side waits for now, with its deadline; and when to arm the read that this needs.
Connection::Read Connection::next_read() {
    if (eof_) {
        await(Wait::nothing, never);
        return Read::no;
    }
    switch (phase_) {
        case Phase::stop:
            await(Wait::nothing, never);
            return front_ ? watch() : Read::no;
        case Phase::linger:
            return Read::now;
        case Phase::held:
            return watch();
        case Phase::collect:
            return wait_for_body();
        case Phase::stream:
            return body_exchange()->wants_body_ ? wait_for_body() : watch();
        case Phase::drop:
            return body_exchange()->done_ ? wait_for_body() : watch();
        case Phase::head:
            break;
    }
    if (fresh_) return Read::now;
    if (front_ || parsed_ != filled_) return watch();
    return rest();
}

Connection::Read Connection::wait_for_body() {
    if (wait_ != Wait::body && core_.limits().body_time.count() != 0) {
        body_since_ = core_.now();
        await(Wait::body, body_since_ + std::max<Millis>(body_left_, 0));
    }
    return Read::now;
}

/// A handler is at work: its peer is looked after a little later.
Connection::Read Connection::watch() {
    if (wait_ == Wait::body) body_left_ -= core_.now() - body_since_;
    if (reading_) {
        await(Wait::nothing, never);
    } else if (wait_ != Wait::watch) {
        await(Wait::watch, core_.now() + watch_after);
    }
    return Read::no;
}

/// Idle: the next request may take its time.
Connection::Read Connection::rest() {
    const Limits& limits = core_.limits();
    const Millis now = core_.now();
    const Millis patience = core_.draining() ? Server::Core::drain_grace
                            : first_         ? limits.header_time.count()
                                             : limits.keep_alive.count();
    if (!first_ || wait_ != Wait::idle) idle_end_ = first_ && patience == 0 ? never : now + patience;
    await(Wait::idle, idle_end_);
    return first_ ? Read::now : Read::next_turn;
}

void Connection::await(Wait what, Millis deadline) {
    wait_ = what;
    read_deadline_ = deadline;
    set_deadline();
}

void Connection::set_deadline() {
    core_.deadlines().set(node, std::min(read_deadline_, write_deadline_));
}

void Connection::on_deadline(Millis now) {
    if (write_deadline_ <= now) {
        ++core_.stats().timeouts;
        return close(Broken::timed_out);
    }
    if (read_deadline_ > now) return set_deadline();
    switch (std::exchange(wait_, Wait::nothing)) {
        case Wait::idle:
            return close(Broken::timed_out);
        case Wait::head:
            ++core_.stats().timeouts;
            refuse(408, "the request took too long to arrive", Broken::timed_out);
            break;
        case Wait::body:
            ++core_.stats().timeouts;
            refuse(408, "the body took too long to arrive", Broken::timed_out);
            break;
        case Wait::watch:
            await(Wait::nothing, never);
            return wait_readable();
        case Wait::linger:
            return close(Broken::timed_out);
        case Wait::nothing:
            break;
    }
    touch();
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

void Connection::drain(Millis grace) {
    if (wait_ != Wait::idle) return;
    idle_end_ = std::min(idle_end_, core_.now() + grace);
    await(Wait::idle, idle_end_);
}

}  // namespace asioserve::http
