// What Connection waits for: when it reads next, and how long it has patience with its peer.

#include <algorithm>

#include "common/http/connection.hpp"
#include "common/http/core.hpp"

namespace asioserve::http {
namespace {

// A handler that takes longer than this is looked after in case its peer leaves. Shorter ones, nearly all,
// are spared a system call that finds nothing.
constexpr Millis watch_after = 100;

}  // namespace

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

void Connection::drain(Millis grace) {
    if (wait_ != Wait::idle) return;
    idle_end_ = std::min(idle_end_, core_.now() + grace);
    await(Wait::idle, idle_end_);
}

}  // namespace asioserve::http
