#include "fallback_switch/child.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "common/options/values.hpp"

namespace asioserve::fallback {

using std::chrono::milliseconds;
using std::chrono::seconds;

Child::Child(asio::io_context& io, int stage, Launched launched, ChildTimes times, ChildEvents& events)
    : pipe_(io, launched.pipe),
      timer_(io),
      times_(times),
      events_(events),
      stage_(stage),
      pid_(launched.pid) {}

Child::~Child() = default;

void Child::watch() {
    expect(times_.proof);
    read_later();
}

void Child::signal(int number) {
    if (alive_) ::kill(pid_, number);
}

void Child::drain(int number) {
    phase_ = Phase::draining;
    expect(times_.drain + times_.beat);
    signal(number);
}

void Child::kill() {
    if (!alive_) return;
    if (::kill(-pid_, SIGKILL) != 0) ::kill(pid_, SIGKILL);
}

void Child::ended() {
    alive_ = false;
    read_now();
    pipe_.close();
    timer_.cancel();
    deadline_ = Clock::time_point::max();
}

void Child::read_later() {
    pipe_.async_wait(asio::posix::descriptor_base::wait_read,
                     [self = shared_from_this()](const asio::error_code& error) {
                         if (!error && self->read_now()) self->read_later();
                     });
}

/// False when the child has closed its end. That alone is no end: waitpid() tells it.
bool Child::read_now() {
    std::array<char, 1024> bytes;
    while (pipe_.is_open()) {
        const auto size = ::read(pipe_.native_handle(), bytes.data(), bytes.size());
        if (size <= 0) return size < 0 && (errno == EAGAIN || errno == EINTR);
        reader_.append({bytes.data(), static_cast<std::size_t>(size)});
        while (const auto message = reader_.next()) hear(*message);
    }
    return false;
}

void Child::hear(Message message) {
    last_sign_ = Clock::now();
    if (message != Message::beat) spdlog::debug("stage {} (pid {}) {}", stage_, pid_, describe(message));
    switch (message) {
        case Message::leaving:
            leaving_ = true;
            if (alive_) events_.child_leaving(*this);
            return;
        case Message::failed_startup:
            startup_failed_ = true;
            return;
        case Message::beat:
            if (phase_ == Phase::serving) expect(times_.beat);
            // A long lifespan shutdown is no hang as long as the loop turns.
            if (phase_ == Phase::draining) deadline_ = std::max(deadline_, last_sign_ + times_.beat);
            return;
        default:
            break;
    }
    if (message == Message::proved || message == Message::ready) proved_ = true;
    if (phase_ == Phase::draining) return;
    if (message == Message::importing) phase_ = Phase::importing;
    if (message == Message::imported) phase_ = Phase::imported;
    if (message == Message::proving) phase_ = Phase::proving;
    if (message == Message::proved) phase_ = Phase::proved;
    if (message == Message::ready) phase_ = Phase::serving;
    if (phase_ == Phase::imported || phase_ == Phase::proving) expect(times_.proof);
    if (phase_ == Phase::serving) expect(times_.beat);
    // The app's own code runs now, and nobody can know how long that takes.
    if (phase_ == Phase::importing || phase_ == Phase::proved) deadline_ = Clock::time_point::max();
    if (message == Message::ready && alive_) events_.child_ready(*this);
}

void Child::expect(milliseconds within) {
    deadline_ = Clock::now() + within;
    arm();
}

void Child::arm() {
    if (deadline_ == Clock::time_point::max() || !alive_) return;
    timer_.expires_at(deadline_);
    timer_.async_wait([self = shared_from_this()](const asio::error_code& error) {
        if (!error && self->alive_) self->deadline_reached();
    });
}

void Child::deadline_reached() {
    const auto late = Clock::now() - deadline_;
    if (late < Clock::duration::zero()) return arm();
    // Both of us may have been stopped for a while (SIGSTOP, a frozen container): then it gets its time
    // again.
    if (late > seconds(2)) return expect(phase_ >= Phase::serving ? times_.beat : times_.proof);
    // What it said is perhaps still unread, as this timer came first.
    const auto before = deadline_;
    read_now();
    if (deadline_ != before) return arm();
    deadline_ = Clock::time_point::max();
    events_.child_overdue(*this, complaint());
}

std::string Child::complaint() const {
    using options::duration_text;
    if (phase_ == Phase::draining) return "did not end in time after its signal";
    if (phase_ == Phase::serving) return "gave no sign of life for " + duration_text(times_.beat);
    return "did not prove itself within " + duration_text(times_.proof);
}

}  // namespace asioserve::fallback
