#include "stage3_native_loop/native/core/loop.hpp"

#include <asio/post.hpp>
#include <cmath>
#include <limits>

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/failures.hpp"
#include "stage3_native_loop/native/core/stay_at_exit.hpp"

namespace asioloop {

using asioserve::py::drop;
using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

// asyncio's own bound on a wait: longer ones are waited for in pieces, so that no arithmetic overflows.
constexpr double kLongestWait = 24 * 3600;

// After kLoneWaits waits in a row that have found one event each, only every kAskAgain-th is asked for more.
constexpr unsigned kLoneWaits = 8, kAskAgain = 16;

// After kQuietLooks turns in a row with callbacks and without I/O, I/O is looked at only every so often: to
// look costs as much as several callbacks. The first ones look each time, as asyncio does: a program may
// count on what has happened to be seen a few turns later. The bound is what a packet may have to wait at
// most, besides for the callbacks of one turn.
constexpr unsigned kQuietLooks = 16;
constexpr double kLookAgain = 50e-6;

std::uint64_t nanoseconds() noexcept {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

}  // namespace

LoopCore::LoopCore(ModuleState& module, PyObject* self, asio::io_context* io)
    : module_(module),
      self_(self),
      life_(std::make_shared<LoopLife>(*this, io)),
      io_(&life_->io()),
      clock_(self, module.native_time.get()),
      pool_(module.handles, module.context_vars, self),
      watches_(*this),
      streams_(*this),
      datagrams_(*this),
      pipes_(*this),
      timer_(*io_) {}

LoopCore::~LoopCore() {
    timer_.reset();
    if (life_) life_->close();
}

PyObject* LoopCore::call_soon(PyObject* callback, Arguments args, PyObject* context) {
    if (closed_) return closed_error(), nullptr;
    if (capture) {
        *std::exchange(capture, nullptr) = Ref::borrow(callback);
        return new_reference(Py_None);
    }
    return schedule(HandlePool::plain, callback, args, context);
}

PyObject* LoopCore::schedule(HandlePool::Kind kind, PyObject* callback, Arguments args, PyObject* context) {
    PyObject* h = pool_.make(kind, callback, args, context);
    if (h) ready_.push({new_reference(h), nullptr, false});
    return h;
}

PyObject* LoopCore::call_soon_threadsafe(PyObject* callback, Arguments args, PyObject* context) {
    if (closed_) return closed_error(), nullptr;
    PyObject* h = schedule(HandlePool::safe, callback, args, context);
    if (h) wake();
    return h;
}

void LoopCore::wait_for(PyObject* handle) {
    asioserve::py::gil.assert_held();
    while (running_handle_ == handle && !on_loop_thread()) {
        const std::uint64_t seen = ended_;
        ++waiting_;
        {
            const StayAtExit until_it_is_back;
            const asioserve::py::GilRelease released;
            std::unique_lock lock(ended_mutex_);
            ended_changed_.wait(lock, [&] { return ended_ != seen; });
        }
        --waiting_;
    }
}

void LoopCore::end_handle() {
    running_handle_ = nullptr;
    if (waiting_ == 0) return;
    const std::lock_guard lock(ended_mutex_);
    ++ended_;
    ended_changed_.notify_all();
}

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

void LoopCore::wake() {
    if (!blocked_.load() || woken_.exchange(true)) return;
    metrics_.wake_ups.add();
    asio::post(*io_, [] {});
}

void LoopCore::take_gil() {
    const std::uint64_t begin = nanoseconds();
    PyEval_RestoreThread(thread_state_);
    gil_held_ = true;
    metrics_.gil_taken.add();
    metrics_.waiting.add(begin - waiting_since_);
    metrics_.gil_waiting.add(nanoseconds() - begin);
}

void LoopCore::release_gil() {
    if (hook_) hook_->settle();
    waiting_since_ = nanoseconds();
    gil_held_ = false;
    PyEval_SaveThread();
}

void LoopCore::set_shown(bool on) {
    Ref done = Ref::steal(PyObject_CallOneArg(module_.set_running_loop.get(), on ? self_ : Py_None));
    if (!done) PyErr_WriteUnraisable(self_);
    shown_ = on;
}

bool LoopCore::run(bool once) {
    const StayAtExit until_the_end;
    thread_ = std::this_thread::get_id();
    thread_state_ = PyThreadState_Get();
    gil_held_ = true;
    shown_ = true;  // run_forever() has set it
    quiet_looks_ = 0;
    running_since_ = nanoseconds();
    running_ = true;
    module_.task_registry.enter();
    bool ok = true;
    while (ok) {
        ok = turn();
        if (stopping_ || once) break;
    }
    // Settled last: the end of the turn may start requests, and the running loop is about to be nobody's.
    if (hook_ && ok) hook_->end_turn();
    if (hook_) hook_->settle();
    module_.task_registry.leave();
    shown_ = false;  // run_forever() takes it back
    running_ = false;
    metrics_.running.add(nanoseconds() - running_since_);
    return ok;
}

std::uint64_t LoopCore::running_time() const noexcept {
    return metrics_.running.get() + (running_ ? nanoseconds() - running_since_ : 0);
}

bool LoopCore::turn() {
    metrics_.turns.add();
    const bool idle = ready_.empty() && !stopping_;
    if (!(idle ? wait() && check_signals() : look_at_io()) || !expire_timers() || !run_ready()) return false;
    if (hook_) hook_->run_deferred();
    return !forked_ || closed_error();
}

bool LoopCore::wait() {
    if (!arm_timer()) return false;
    quiet_looks_ = 0;
    timer_fired_ = false;
    // Set while the GIL is still held: whoever pushes a callback next has it, and then sees that it must wake
    // us.
    woken_ = false;
    blocked_ = true;
    release_gil();
    do {
        bool more = hook_ && hook_->end_turn();
        if (gil_held_ || more) {
            metrics_.polls.add();
            io_->poll();
        } else {
            wait_for_io();
        }
    } while (!gil_held_ && !woken_ && !timer_fired_);
    ensure_gil();
    blocked_ = false;
    return true;
}

bool LoopCore::look_at_io() {
    // Callbacks are due, but answers go out and I/O is looked at all the same.
    if (hook_) hook_->end_turn();
    if (quiet_looks_ >= kQuietLooks && !hook_ && !stopping_) {
        const double now = time();
        if (now < looked_at_ + kLookAgain) return true;
        looked_at_ = now;
    }
    metrics_.polls.add();
    quiet_looks_ = io_->poll() > 0 ? 0 : quiet_looks_ + 1;
    return breathe();
}

void LoopCore::wait_for_io() {
    metrics_.polls.add();
    io_->run_one();
    // To run what the wait has found besides, Asio looks at its reactor once more: a system call for nothing
    // where one event comes at a time. There it is spared; what else was found is left to the next turn,
    // which then does not block.
    if (lone_waits_ < kLoneWaits || lone_waits_ % kAskAgain == 0) {
        metrics_.polls.add();
        lone_waits_ = io_->poll() > 0 ? 0 : lone_waits_ + 1;
    } else {
        ++lone_waits_;
    }
}

bool LoopCore::check_signals() {
    // Here and not in the callback that the wake-up leads to: what a handler raises ends run_forever(), as in
    // asyncio, whose select() it comes out of.
    if (hook_) hook_->settle();
    return PyErr_CheckSignals() == 0;
}

bool LoopCore::breathe() {
    // A turn of C++ alone never comes by the place where CPython hands the GIL over to a thread that has
    // asked for it, or runs signal handlers: its eval loop. So we go there, for 50 ns. Letting go and taking
    // it back would not do: each time it wakes the thread that waits, too late, and starts its five
    // milliseconds anew.
    if (hook_) hook_->settle();
    return static_cast<bool>(Ref::steal(PyObject_CallNoArgs(module_.do_nothing.get())));
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

bool LoopCore::run_ready() {
    // Only what is due now: callbacks that these schedule wait for the next turn, after I/O has had a look.
    const std::size_t n = ready_.size();
    if (n == 0) return true;
    metrics_.most_ready.raise_to(n);
    if (hook_) hook_->settle();
    show_running();
    const void* own = module_.context_vars.current();
    const bool timed = debug;
    const double begin = timed ? time() : 0;
    slow_reported = false;
    for (std::size_t left = n; left > 0; --left) {
        const Ready r = ready_.pop();
        Ref h = Ref::steal(r.handle);
        in_callback_ = true;
        running_handle_ = r.handle;
        const bool ok = r.native ? r.native->run(r.write) : run_handle(r.handle);
        end_handle();
        in_callback_ = false;
        metrics_.callbacks.add();
        if (r.watch) watches_.ran(*r.watch, r.write);
        pool_.give_back(h.release(), own);
        if (!ok) return false;
        if (forked_) return closed_error();
    }
    const double took = timed ? time() - begin : 0;
    if (timed && took >= slow_iteration_duration && !slow_reported) report_slow_iteration(n, took);
    return true;
}

void LoopCore::report_slow_iteration(std::size_t callbacks, double seconds) {
    Ref done = Ref::steal(PyObject_CallMethod(self_, "_report_slow_iteration", "nd",
                                              static_cast<Py_ssize_t>(callbacks), seconds));
    if (!done) PyErr_WriteUnraisable(self_);
}

bool LoopCore::run_handle(PyObject* handle) {
    const HandleClass& handles = module_.handles;
    if (handles.cancelled(handle)) return true;
    // Owned for the call: cancel() inside the callback empties the slots.
    Ref callback = Ref::borrow(handles.callback(handle));
    Ref args = Ref::borrow(handles.args(handle));
    Ref context = Ref::borrow(handles.context(handle));
    const bool timed = debug;  // the callback may switch it
    const double begin = timed ? time() : 0;
    if (PyContext_Enter(context.get()) < 0) return report(handle);
    auto* tuple = reinterpret_cast<PyTupleObject*>(args.get());
    Ref result = Ref::steal(PyObject_Vectorcall(callback.get(), tuple->ob_item,
                                                static_cast<std::size_t>(Py_SIZE(tuple)), nullptr));
    // Left before the error is reported: the exception handler is called in this context too, and may enter
    // it.
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    if (!result) PyErr_Fetch(&type, &value, &traceback);
    if (PyContext_Exit(context.get()) < 0) PyErr_WriteUnraisable(handle);
    bool ok = true;
    if (!result) {
        PyErr_Restore(type, value, traceback);
        ok = report(handle);
    }
    if (timed && ok) {
        const double took = time() - begin;
        if (took >= slow_callback_duration) {
            slow_reported = true;
            Ref done = Ref::steal(PyObject_CallMethod(self_, "_report_slow", "Od", handle, took));
            if (!done) PyErr_WriteUnraisable(handle);
        }
    }
    return ok;
}

bool LoopCore::report(PyObject* handle) {
    if (leaves_the_loop()) return false;
    asioserve::py::gil.assert_held();
    const Ref error = asioserve::py::take_raised();
    return report_failure(self_, handle, error, handle);
}

void LoopCore::close() {
    if (!life_) return;
    closed_ = true;
    if (orphaned_) return;
    clear_references();
    timer_.reset();
    life_->close();
    io_ = nullptr;
    life_.reset();  // its descriptors are closed, unless somebody still has a part of it
}

int LoopCore::traverse(visitproc visit, void* arg) {
    if (int r = watches_.traverse(visit, arg)) return r;
    if (int r = streams_.traverse(visit, arg)) return r;
    if (int r = datagrams_.traverse(visit, arg)) return r;
    if (int r = pipes_.traverse(visit, arg)) return r;
    Py_VISIT(task_keywords.get());
    if (int r = timers_.traverse(visit, arg)) return r;
    return ready_.traverse(visit, arg);
}

void LoopCore::clear_references() {
    if (orphaned_) return;
    while (!ready_.empty()) {
        Ready r = ready_.pop();
        drop(r.handle);
        if (r.watch) watches_.ran(*r.watch, r.write);
    }
    while (!timers_.empty()) {
        PyObject* h = timers_.pop();
        module_.handles.set_scheduled(h, false);
        drop(h);
    }
    pool_.clear();
    task_keywords.reset();
    watches_.close();
    streams_.close();
    datagrams_.close();
    pipes_.close();
    if (timer_) timer_->cancel();
    armed_for_ = 0;
}

}  // namespace asioloop
