#include "stage3_native_loop/native/core/loop.hpp"

#include <asio/post.hpp>

#include "stage3_native_loop/native/core/stay_at_exit.hpp"

namespace asioloop {

using asioserve::py::drop;
using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

// After kLoneWaits waits in a row that have found one event each, only every kAskAgain-th is asked for more.
constexpr unsigned kLoneWaits = 8, kAskAgain = 16;

// After kQuietLooks turns in a row with callbacks and without I/O, I/O is looked at only every so often: to
// look costs as much as several callbacks. The first ones look each time, as asyncio does: a program may
// count on what has happened to be seen a few turns later. The bound is what a packet may have to wait at
// most, besides for the callbacks of one turn.
constexpr unsigned kQuietLooks = 16;
constexpr double kLookAgain = 20e-6;

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
    streams_.settle_doubts();
    const bool idle = ready_.empty() && !stopping_;
    if (!(idle ? wait() && check_signals() : look_at_io()) || !expire_timers()) return false;
    gathered_.begin_turn();
    const bool ran = run_ready();
    if (!gathered_.end_turn() || !ran) return false;
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
    if (const int r = keeps_module_.traverse(visit, arg)) return r;
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
