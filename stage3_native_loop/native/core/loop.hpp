// The event loop: the turn, the GIL, the clock. Its callbacks and its timers are in loop_callbacks.cpp and
// loop_timers.cpp, its Python face is loop_type.cpp, its file descriptors are os/fd_watch.hpp.
//
// Threads: one thread runs the loop (run()); that thread may hold the GIL or not, `gil_held_` says which.
// Under the GIL and from any thread: call_soon_threadsafe, stop. Everything else: on the loop's thread, or
// while nobody runs it.
//
// A turn: [nothing is due] let the GIL go, end_turn() of the hook, one blocking wait · I/O that is ready ·
// due timers · the callbacks that were due when the turn began · what the hook has put off. The GIL is taken
// by the first who enters Python (ensure_gil) and stays held until the next blocking wait. A program that
// keeps the ready queue busy, turn after turn, and has no I/O, has a look at I/O only now and then
// (look_at_io).
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "stage3_native_loop/native/core/create_task.hpp"
#include "stage3_native_loop/native/core/handle_pool.hpp"
#include "stage3_native_loop/native/core/keeps_module.hpp"
#include "stage3_native_loop/native/core/life.hpp"
#include "stage3_native_loop/native/core/loop_clock.hpp"
#include "stage3_native_loop/native/core/metrics.hpp"
#include "stage3_native_loop/native/core/ready_queue.hpp"
#include "stage3_native_loop/native/core/task_registry.hpp"
#include "stage3_native_loop/native/core/timer_heap.hpp"
#include "stage3_native_loop/native/net/datagrams.hpp"
#include "stage3_native_loop/native/net/gathered.hpp"
#include "stage3_native_loop/native/net/literals.hpp"
#include "stage3_native_loop/native/net/names.hpp"
#include "stage3_native_loop/native/net/pipes.hpp"
#include "stage3_native_loop/native/net/streams.hpp"
#include "stage3_native_loop/native/os/fd_watch.hpp"

namespace asioloop {

/// What a program that shares the loop's thread does at the seams of a turn.
class TurnHook {
  public:
    /// Before the thread may block: sends what has gathered. With or without the GIL. True: something became
    /// ready.
    virtual bool end_turn() = 0;
    /// Before callbacks run and before the GIL is let go: what it keeps current from one request to the next
    /// must not be seen by anybody else. GIL held.
    virtual void settle() = 0;
    /// After the callbacks of the turn: what could not be done inside one. GIL held.
    virtual void run_deferred() = 0;

  protected:
    ~TurnHook() = default;
};

/// What the module keeps for its loops.
struct ModuleState {
    /// The module, which this is a part of. Borrowed.
    PyObject* module = nullptr;
    /// How handles are made and read.
    HandleClass handles;
    /// How contexts are compared.
    ContextVars context_vars;
    /// How tasks are made.
    TaskMaker tasks;
    /// The set of all tasks, while a loop runs.
    SharedTaskRegistry task_registry;
    /// LoopCore as a Python type.
    asioserve::py::Ref loop_type;
    /// StreamTransport as a Python type.
    asioserve::py::Ref stream_type;
    /// DatagramTransport as a Python type.
    asioserve::py::Ref datagram_type;
    /// What getaddrinfo() says of literals.
    Literals literals;
    /// TlsProtocol as a Python type.
    asioserve::py::Ref tls_type;
    /// See WindowOver.
    asioserve::py::Ref window;
    /// The name of what says how much is in a MemoryBIO.
    asioserve::py::Ref pending;
    /// asyncio.BufferedProtocol.
    asioserve::py::Ref buffered_protocol;
    /// For callbacks without arguments.
    asioserve::py::Ref empty_tuple;
    /// b"".
    asioserve::py::Ref empty_bytes;
    /// -1, what a buffered protocol is asked for.
    asioserve::py::Ref minus_one;
    /// The names of what a protocol is told for each packet.
    /// @{
    asioserve::py::Ref data_received, get_buffer, buffer_updated, datagram_received;
    /// @}
    /// And what else it is told, once or twice.
    Names names;
    /// asyncio.events._set_running_loop.
    asioserve::py::Ref set_running_loop;
    /// A function in Python that does nothing.
    asioserve::py::Ref do_nothing;
    /// ("context",): the names of arguments that were given last.
    asioserve::py::Ref context_names;
    /// LoopCore.time.
    asioserve::py::Ref native_time;
};

class LoopCore {
  public:
    /// `io` null: an io_context of its own. `self` is the Python object that this is a part of (not owned).
    LoopCore(ModuleState& module, PyObject* self, asio::io_context* io);
    ~LoopCore();
    LoopCore(const LoopCore&) = delete;
    LoopCore& operator=(const LoopCore&) = delete;

    // --- scheduling: GIL held
    // -------------------------------------------------------------------------------
    /// New reference to the handle, or null with an exception set. `context` null takes a copy of the
    /// current one.
    PyObject* call_soon(PyObject* callback, Arguments args, PyObject* context);
    /// As call_soon(), and wakes the loop if it is blocked. Any thread.
    PyObject* call_soon_threadsafe(PyObject* callback, Arguments args, PyObject* context);
    /// New reference to the timer, or null with an exception set. `when`, a float, is on the clock of time().
    PyObject* call_at(asioserve::py::Ref when, PyObject* callback, Arguments args, PyObject* context);
    /// The timer is about to be cancelled: sweeps the heap when most of it is dead.
    void timer_cancelled(PyObject* timer);
    /// Returns when the callback of this handle is not running, unless this is its thread. GIL held, and let
    /// go while it waits; any thread.
    void wait_for(PyObject* handle);
    /// Seconds, CLOCK_MONOTONIC: the clock of time.monotonic().
    static double time() noexcept { return LoopClock::monotonic(); }
    /// What timers go by: time(), unless the program has a clock of its own.
    LoopClock& clock() noexcept { return clock_; }
    /// Queues a handle (a reference is taken over) that an I/O event made due.
    void push_ready(Ready ready) { ready_.push(ready); }
    /// add_reader and add_writer.
    FdWatches& watches() noexcept { return watches_; }
    /// Its stream transports.
    Streams& streams() noexcept { return streams_; }
    /// What its stream transports send at the end of the turn.
    Gathered& gathered() noexcept { return gathered_; }
    /// Its datagram transports.
    Datagrams& datagrams() noexcept { return datagrams_; }
    /// Its ends of pipes.
    Pipes& pipes() noexcept { return pipes_; }

    /// While set, the next call_soon() stores its callback here instead of queueing it, and unsets this: how
    /// a Task is made whose first step is taken elsewhere.
    asioserve::py::Ref* capture = nullptr;
    /// TaskMaker's: the arguments that are the same for all tasks.
    asioserve::py::Ref task_keywords;

    // --- the turn
    // -------------------------------------------------------------------------------------------
    /// Runs until stop(), or for one turn. GIL held. False with an exception set: SystemExit or
    /// KeyboardInterrupt left a callback.
    bool run(bool once = false);
    /// True: run() ends after this turn, also the next one that is started. False: takes it back.
    void stop(bool on = true) noexcept { stopping_ = on; }
    /// stop() was called, and not taken back.
    bool stopping() const noexcept { return stopping_; }
    /// Forgets every callback, timer and descriptor. GIL held, not running.
    void close();
    /// close() was called, or this is a forked child: the loop takes nothing any more.
    bool closed() const noexcept { return closed_; }
    /// Sets the RuntimeError that says why. Returns false.
    bool closed_error() const;

    // --- in a forked child (fork.cpp)
    // -----------------------------------------------------------------------
    /// From now on the loop, which is the parent's, refuses to do anything, and nothing that is let go of
    /// reaches the parent's descriptors. By os.fork(), in the child. GIL held.
    void forked();
    /// Whether forked() was called.
    bool is_parents() const noexcept { return forked_; }
    /// Whether it was forked while another thread, which is not here, ran it: then nobody knows what state
    /// Asio is in, its locks too, and nothing may call it again, not even to free it.
    bool orphaned() const noexcept { return orphaned_; }
    /// run() is on the stack of some thread.
    bool running() const noexcept { return running_; }

    // --- for those who share the thread
    // ---------------------------------------------------------------------
    /// Makes sure that the GIL is held until the next blocking wait. Loop's thread, inside run().
    void ensure_gil() {
        if (!gil_held_) take_gil();
    }
    /// By this thread, as the loop knows it. Loop's thread.
    bool gil_held() const noexcept { return gil_held_; }
    /// A callback of the loop, or a C++ handler that uses Python, is on the stack.
    bool in_callback() const noexcept { return in_callback_; }
    /// Whether this is the process that made the loop. In a forked child Asio's reactor is still the
    /// parent's.
    bool in_own_process() const noexcept { return process_ == ::getpid(); }
    /// Whether the calling thread is the one in run(). Any thread.
    bool on_loop_thread() const noexcept { return running_ && thread_ == std::this_thread::get_id(); }
    /// asyncio.get_running_loop() finds this loop, or none; the change costs about 50 ns, no change nothing.
    void show_running() {
        if (!shown_) set_shown(true);
    }
    /// See show_running().
    void hide_running() {
        if (shown_) set_shown(false);
    }
    /// For a C++ handler of the io_context that uses Python, until leave_python(): the GIL is held, the loop
    /// is the running one, no task is current. Loop's thread, inside run(), not inside a callback.
    void enter_python() {
        ensure_gil();
        if (hook_) hook_->settle();
        show_running();
        in_callback_ = true;
    }
    /// See enter_python(). GIL held.
    void leave_python() noexcept { in_callback_ = false; }
    /// Who is asked at the seams of a turn; null: nobody.
    void hook(TurnHook* h) noexcept { hook_ = h; }
    /// What it runs on. Not after close().
    asio::io_context& io() noexcept { return *io_; }
    /// For those who may outlive it. Not after close().
    const std::shared_ptr<LoopLife>& life() const noexcept { return life_; }
    /// The Python object that this is a part of, borrowed.
    PyObject* self() const noexcept { return self_; }
    /// Wakes a blocked run() so that it looks at the ready queue. GIL held, any thread.
    void wake();

    /// Times that the loop has taken the GIL.
    const asioserve::Counter& gil_acquisitions() const noexcept { return metrics_.gil_taken; }
    /// System calls that woke it.
    const asioserve::Counter& wake_ups() const noexcept { return metrics_.wake_ups; }
    /// For those who count.
    Metrics& metrics() noexcept { return metrics_; }
    /// How many callbacks are due.
    std::size_t ready() const noexcept { return ready_.size(); }
    /// Nanoseconds inside run(), the run under way counted. GIL held.
    std::uint64_t running_time() const noexcept;
    /// What the module keeps.
    ModuleState& module() const noexcept { return module_; }

    /// asyncio's debug mode: slow callbacks are reported.
    bool debug = false;
    bool has_task_factory =
        false;  ///< set_task_factory() is in use: tasks are made by loop.create_task() only
    double slow_callback_duration = 0.1;   ///< seconds
    double slow_iteration_duration = 0.5;  ///< seconds, of all callbacks of a turn together
    bool slow_reported = false;            ///< a callback of this turn: then the turn is not reported too

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);
    /// For tp_clear and close().
    void clear_references();

  private:
    void set_shown(bool on);
    void take_gil();
    void release_gil();
    bool turn();
    bool wait();
    void wait_for_io();
    bool look_at_io();
    bool breathe();
    bool check_signals();

    // loop_timers.cpp
    bool arm_timer();
    bool expire_timers();

    // loop_callbacks.cpp
    PyObject* schedule(HandlePool::Kind kind, PyObject* callback, Arguments args, PyObject* context);
    bool run_ready();
    bool run_handle(PyObject* handle);
    bool report(PyObject* handle);
    void report_slow_iteration(std::size_t callbacks, double seconds);
    void end_handle();

    // constant after construction
    ModuleState& module_;
    const KeepsModule keeps_module_{module_};
    PyObject* const self_;
    const pid_t process_ = ::getpid();

    // until close()
    std::shared_ptr<LoopLife> life_;
    asio::io_context* io_;

    // under the GIL
    LoopClock clock_;
    HandlePool pool_;
    ReadyQueue ready_;
    TimerHeap<PyObject*> timers_;
    FdWatches watches_;
    Streams streams_;
    Gathered gathered_;
    Datagrams datagrams_;
    Pipes pipes_;
    bool stopping_ = false;
    bool closed_ = false;
    bool forked_ = false;
    bool orphaned_ = false;
    PyObject* running_handle_ = nullptr;  // borrowed from run_ready()
    int waiting_ = 0;                     // threads in wait_for()
    std::atomic<bool> blocked_{false};    // read by other threads under the GIL, kept while it is not held
    std::atomic<bool> woken_{false};      // a wake-up is under way: no second one is needed

    // ended_mutex_
    std::mutex ended_mutex_;
    std::condition_variable ended_changed_;
    std::uint64_t ended_ = 0;  // callbacks that somebody has waited for; written under the GIL as well

    // the loop's thread
    std::optional<asio::steady_timer> timer_;
    double armed_for_ = 0;  // 0: not armed
    bool timer_fired_ = false;
    unsigned lone_waits_ = 0;   // in a row, that have found one event
    unsigned quiet_looks_ = 0;  // in a row, of turns with callbacks, that have found no event
    double looked_at_ = 0;      // when the last one was
    std::uint64_t running_since_ = 0, waiting_since_ = 0;  // ns
    bool gil_held_ = true;
    bool shown_ = false;
    bool in_callback_ = false;
    std::atomic<bool> running_{false};
    std::thread::id thread_;
    PyThreadState* thread_state_ = nullptr;
    TurnHook* hook_ = nullptr;
    Metrics metrics_;
};

/// The loop inside a Python object, or null where it is none of ours. GIL held.
LoopCore* core_of(PyObject* loop);

}  // namespace asioloop
