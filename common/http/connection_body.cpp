// The bodies of requests in Connection: put together, handed on in pieces, or thrown away.

#include <algorithm>

#include "common/http/connection.hpp"
#include "common/http/core.hpp"

namespace asioserve::http {

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

void Connection::body_wanted(HttpExchange& x) {
    // None, or one that was not to be streamed: it is over before it begins.
    if (body_of_.get() != &x || phase_ == Phase::drop) return core_.deliver_end(x);
    send_continue(x);
    touch();
}

bool Connection::step_collect() {
    HttpExchange& x = *body_exchange();
    // A body with a length ends without a further byte, but llhttp has to be asked.
    if (parsed_ == filled_ && static_cast<std::int64_t>(body_bytes_) != x.lines_.content_length) return false;
    switch (feed(x)) {
        case RequestParser::Event::body:
            body_bytes_ += parser_.body().size();
            if (!refuse_too_large(static_cast<std::int64_t>(body_bytes_))) collect(x, parser_.body());
            return true;
        case RequestParser::Event::end: {
            const ExchangePtr keep = body_of_;
            end_body();
            core_.runner().start(keep, x.kind_);
            return true;
        }
        case RequestParser::Event::refused:
            refuse_malformed();
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
            if (refuse_too_large(static_cast<std::int64_t>(body_bytes_))) return true;
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
            refuse_malformed();
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
            refuse_malformed();
            return true;
        default:
            return false;
    }
}

}  // namespace asioserve::http
