// The order of things in a connection: heads are taken out of what was read, their exchanges queued and
// started. Bodies are in connection_body.cpp, the bytes in connection_in.cpp, the answers in
// connection_out.cpp.
#include "common/http/connection.hpp"

#include "common/http/core.hpp"

namespace asioserve::http {
namespace {

constexpr std::string_view plain_text = "text/plain; charset=utf-8";

}  // namespace

Connection::Connection(Server::Core& core, Socket socket, Ends* ends)
    : core_(core), socket_(std::move(socket)), ends_(ends), parser_(core.limits().head_bytes) {
    ++ends_->references;
}

Connection::~Connection() {
    if (--ends_->references == 0) delete ends_;
}

void Connection::touch() {
    if (!in_turn_) core_.touch(*this);
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
            refuse_malformed();
            return true;
        default:
            break;
    }
    first_ = false;
    // Now, not when it starts: a held request must keep its bytes, whatever becomes of our buffer meanwhile.
    fresh_->publish_head(block_);
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
    const std::int64_t length = x.lines_.content_length;
    if (refuse_too_large(length)) return;
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

/// Whether that is more than a body may have, which ends the reading.
bool Connection::refuse_too_large(std::int64_t bytes) {
    const std::int64_t limit = core_.limits().body_bytes;
    if (limit == 0 || bytes <= limit) return false;
    refuse(413, "the body is too large", Broken::too_large);
    return true;
}

/// What the parser has refused.
void Connection::refuse_malformed() {
    refuse(parser_.refusal().status, parser_.refusal().reason, Broken::malformed);
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

}  // namespace asioserve::http
