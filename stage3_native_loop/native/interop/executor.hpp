// Executor: where C++ coroutines run that deal with Python. It is the loop's own io_context, no second
// thread; what it adds is that a handler, and a coroutine from each resume to its next suspension,
//
// - holds the GIL,
// - sees the context variables of whoever made the executor, in a copy of its own (as an asyncio.Task has),
// - finds the loop as asyncio.get_running_loop(), and no task as asyncio.current_task(),
// - never runs inside a Python callback, nor inside a handler of another executor.
//
//     asio::co_spawn(asioloop::Executor::of_running_loop(), work(), asioloop::as_future);
//
// An exception that leaves a plain handler goes to the loop's exception handler; KeyboardInterrupt and
// SystemExit leave run_forever(). What is given to a loop that is closed is destroyed uncalled, perhaps
// without the GIL: hold an Object, not a Ref or a pybind11::object, from one suspension to the next.
//
// Threads: execute() from any; made with the GIL, in the loop's thread; copied and destroyed anywhere.
#pragma once

#include "common/python/gil.hpp"

#include <asio/execution.hpp>
#include <asio/io_context.hpp>
#include <asio/require.hpp>
#include <memory>
#include <type_traits>

#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/interop/object.hpp"

namespace asioloop {

/// What the executors of one C++ coroutine (and of those that it spawns) share.
class Scope {
  public:
    /// `variables` is the contextvars.Context in which handlers run. GIL.
    Scope(std::shared_ptr<LoopLife> life, Object variables)
        : life_(std::move(life)), variables_(std::move(variables)) {}
    /// The loop's.
    LoopLife& life() const noexcept { return *life_; }
    /// A handler of this scope is on the stack. Loop's thread.
    bool running() const noexcept { return running_; }

    /// Runs `handler` as the page above promises, unless the loop is closed. Loop's thread, inside a turn.
    template <class F>
    void run(F& handler) {
        LoopCore* const core = life_->core();
        if (!core) return;
        enter(*core);
        try {
            handler();
        } catch (...) {
            report(*core);
        }
        leave(*core);
    }

  private:
    void enter(LoopCore& core);
    void leave(LoopCore& core);
    static void report(LoopCore& core);

    const std::shared_ptr<LoopLife> life_;
    const Object variables_;
    bool running_ = false;
};

/// Lets KeyboardInterrupt and SystemExit leave run_forever(), as if a callback had raised it. False: it is
/// another exception, and nothing happens. GIL, loop's thread.
bool leave_loop_by(LoopCore& core, PyObject* exception) ASIOSERVE_REQUIRES(asioserve::py::gil);

/// Asio's executor over `Inner`, one of io_context's executors.
template <class Inner>
class BasicExecutor {
  public:
    /// From the parts.
    BasicExecutor(Inner inner, std::shared_ptr<Scope> scope) noexcept
        : scope_(std::move(scope)), inner_(std::move(inner)) {}

    /// On the running loop's io_context; sees a copy of the current context variables. GIL. Throws
    /// PythonException: no loop is running in this thread, or it is none of asioloop's.
    static BasicExecutor of_running_loop();
    /// The same on any loop, from any thread. GIL. Throws PythonException: it is closed, or none of
    /// asioloop's.
    static BasicExecutor of(PyObject* loop);

    /// What it shares with the executors made from it.
    Scope& scope() const noexcept { return *scope_; }

    /// Runs `f`, never inside the caller unless that is a handler of the same scope and blocking is possible.
    template <class F>
    void execute(F&& f) const {
        if constexpr (asio::can_query<const Inner&, asio::execution::blocking_t>::value) {
            if (asio::query(inner_, asio::execution::blocking) == asio::execution::blocking.possibly &&
                inner_.running_in_this_thread() && scope_->running()) {
                std::decay_t<F> handler(std::forward<F>(f));
                return handler();
            }
        }
        Handler<std::decay_t<F>> handler{scope_, std::forward<F>(f)};
        scope_->life().while_open([&] {
            asio::execution::execute(asio::require(inner_, asio::execution::blocking.never),
                                     std::move(handler));
        });
    }

    /// Asio's properties are those of the io_context's executor.
    template <class Property>
    requires asio::can_query<const Inner&, Property>::value decltype(auto) query(
        const Property& p) const noexcept {
        return asio::query(inner_, p);
    }
    /// Asio's properties are those of the io_context's executor.
    template <class Property>
    requires asio::can_require<const Inner&, Property>::value auto require(const Property& p) const {
        auto inner = asio::require(inner_, p);
        return BasicExecutor<decltype(inner)>(std::move(inner), scope_);
    }
    /// Asio's properties are those of the io_context's executor.
    template <class Property>
    requires asio::can_prefer<const Inner&, Property>::value auto prefer(const Property& p) const {
        auto inner = asio::prefer(inner_, p);
        return BasicExecutor<decltype(inner)>(std::move(inner), scope_);
    }

    /// Same io_context, same scope.
    friend bool operator==(const BasicExecutor& a, const BasicExecutor& b) noexcept {
        return a.scope_ == b.scope_ && a.inner_ == b.inner_;
    }
    /// The opposite.
    friend bool operator!=(const BasicExecutor& a, const BasicExecutor& b) noexcept { return !(a == b); }

  private:
    template <class F>
    struct Handler {
        std::shared_ptr<Scope> scope;
        F f;
        void operator()() { scope->run(f); }
    };

    // Destroyed last to first: the inner one may count as work on the scope's io_context.
    std::shared_ptr<Scope> scope_;
    Inner inner_;
};

/// The usual one.
using Executor = BasicExecutor<asio::io_context::executor_type>;

template <>
Executor Executor::of(PyObject* loop);
template <>
Executor Executor::of_running_loop();

/// The running loop's io_context itself, for what has nothing to do with Python: a handler there may run
/// without the GIL. Throws as Executor::of_running_loop(). GIL.
asio::io_context& running_io_context();

}  // namespace asioloop
