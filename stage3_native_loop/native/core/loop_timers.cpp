// A loop's timers: Python's are in a heap, of which the head arms the one timer that Asio has.
#include <algorithm>
#include <cmath>
#include <limits>

#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

// asyncio's own bound on a wait: longer ones are waited for in pieces, so that no arithmetic overflows.
constexpr double kLongestWait = 24 * 3600;

}  // namespace

PyObject* LoopCore::call_at(Ref when, PyObject* callback, Arguments args, PyObject* context) {
    if (closed_) return closed_error(), nullptr;
    double due = PyFloat_AS_DOUBLE(when.get());
    // asyncio's heap finds that it is not later than now.
    if (std::isnan(due)) due = -std::numeric_limits<double>::infinity();
    PyObject* h = pool_.make(HandlePool::timer, callback, args, context, std::move(when));
    if (h) timers_.push(due, new_reference(h));
    return h;
}

void LoopCore::timer_cancelled(PyObject* timer) {
    if (!module_.handles.scheduled(timer) || !timers_.note_cancelled()) return;
    const HandleClass& handles = module_.handles;
    for (PyObject* h : timers_.compact([&](PyObject* t) { return handles.cancelled(t); })) {
        handles.set_scheduled(h, false);
        pool_.give_back(h, nullptr);
    }
}

bool LoopCore::arm_timer() {
    if (timers_.empty()) return true;
    double when = timers_.head().when;
    const double now = time();
    if (clock_.is_replaced()) {
        // The program's clock says how long; ours, when that is. Nobody knows how the former goes on.
        double its_now = 0;
        if (!clock_.now(its_now)) return false;
        when = now + (when - its_now);
        armed_for_ = 0;
    }
    when = std::clamp(when, 0.0, now + kLongestWait);
    if (armed_for_ != 0 && armed_for_ <= when) return true;
    armed_for_ = when;
    const auto ns = std::chrono::nanoseconds(static_cast<std::int64_t>(std::ceil(when * 1e9)));
    timer_->expires_at(std::chrono::steady_clock::time_point(ns));
    timer_->async_wait([this](const asio::error_code& ec) {
        if (ec) return;
        armed_for_ = 0;
        timer_fired_ = true;
    });
    return true;
}

bool LoopCore::expire_timers() {
    if (timers_.empty()) return true;
    double now = 0;
    if (!clock_.now(now)) return false;
    const HandleClass& handles = module_.handles;
    while (!timers_.empty() && timers_.head().when <= now) {
        const double late = now - timers_.head().when;
        PyObject* h = timers_.pop();
        handles.set_scheduled(h, false);
        if (handles.cancelled(h)) {
            timers_.note_dead_popped();
            pool_.give_back(h, nullptr);
        } else {
            metrics_.lag.add(late);
            ready_.push({h, nullptr, false});
        }
    }
    return true;
}

}  // namespace asioloop
