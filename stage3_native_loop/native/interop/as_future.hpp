// as_future: the completion token that makes a Python awaitable of any Asio operation, and so of any C++
// coroutine.
//
//     asio::co_spawn(asioloop::Executor::of_running_loop(), work(), asioloop::as_future)
//     timer->async_wait(asioloop::as_future(timer))
//
// The call returns an Object: an asyncio.Future of the running loop. It gets what the operation gives:
// nothing is None, one value is itself, several are a tuple (convert.hpp); a leading std::error_code or
// std::exception_ptr that is set is an exception (errors.hpp). Future.cancel(), and so the cancelling of the
// task that awaits it, emits a terminal cancellation to the operation; what it still gives is dropped.
//
// An operation on a timer, socket or channel of which Python holds the last reference must keep it alive, as
// Asio's cancellation demands: give the token a shared_ptr, or use it in a coroutine that has one.
//
// Threads: with the GIL, in the loop's thread while it runs (a function that Python has called, or on an
// Executor).
#pragma once

#include "stage3_native_loop/native/interop/executor.hpp"

#include <asio/async_result.hpp>
#include <asio/cancellation_signal.hpp>
#include <exception>
#include <system_error>

#include "stage3_native_loop/native/interop/convert.hpp"
#include "stage3_native_loop/native/interop/errors.hpp"

namespace asioloop {

/// The C++ end of a Future. The operation has it; the Future only looks here whether the operation is still
/// there.
class Promise {
  public:
    /// A new Future of the running loop; `owner` lives as long as the operation. Throws PythonException. GIL.
    static std::shared_ptr<Promise> make(std::shared_ptr<const void> owner);
    /// For make().
    Promise(Executor executor, Object future, std::shared_ptr<const void> owner)
        : executor_(std::move(executor)), future_(std::move(future)), owner_(std::move(owner)) {}

    /// The Future. GIL.
    Object future() const { return future_; }
    /// What the operation's handler runs on.
    const Executor& executor() const noexcept { return executor_; }
    /// Emits when the Future is cancelled.
    asio::cancellation_slot slot() noexcept { return cancelled_.slot(); }

    /// Sets the result; empty: the exception that is set. Nothing happens where the Future is done. GIL.
    void set_result(asioserve::py::Ref value);
    /// Sets the exception, or cancels the Future (operation_aborted). GIL.
    void set_error(const std::exception_ptr& error);
    /// The operation could not be started, and whoever wanted to is told: nobody waits for the Future. GIL.
    void withdraw() { future_ = {}; }
    /// The operation has gone without an end: an exception says so. Any thread.
    static void abandon(std::shared_ptr<Promise> promise);

  private:
    bool done() const;
    void set(const char* method, PyObject* argument);
    static PyObject* on_done(PyObject* capsule, PyObject* future);

    const Executor executor_;
    Object future_;
    const std::shared_ptr<const void> owner_;
    asio::cancellation_signal cancelled_;
};

/// The handler that as_future gives to operations.
class FutureHandler {
  public:
    /// Asio's: the handler is called there.
    using executor_type = Executor;
    /// Asio's: how the operation hears of a cancelled Future.
    using cancellation_slot_type = asio::cancellation_slot;

    /// Of the promise that it keeps or abandons.
    explicit FutureHandler(std::shared_ptr<Promise> promise) : promise_(std::move(promise)) {}
    /// Takes over; the other one abandons nothing.
    FutureHandler(FutureHandler&&) noexcept = default;
    FutureHandler& operator=(FutureHandler&&) = delete;
    ~FutureHandler() {
        if (promise_) Promise::abandon(std::move(promise_));
    }
    /// See executor_type.
    executor_type get_executor() const noexcept { return promise_->executor(); }
    /// See cancellation_slot_type.
    cancellation_slot_type get_cancellation_slot() const noexcept { return promise_->slot(); }

    /// The operation is complete.
    template <class... Values>
    void operator()(Values... values) {
        const std::shared_ptr<Promise> promise = std::move(promise_);
        // A cancellation may be on its way, and the operation is no longer there to hear it.
        promise->slot().clear();
        try {
            give(*promise, std::move(values)...);
        } catch (...) {
            promise->set_error(std::current_exception());
        }
    }

  private:
    static void give(Promise& promise) { promise.set_result(asioserve::py::Ref::borrow(Py_None)); }
    template <class First, class... More>
    static void give(Promise& promise, First first, More... more) {
        if constexpr (std::is_same_v<First, std::exception_ptr>) {
            if (first) return promise.set_error(first);
            give(promise, std::move(more)...);
        } else if constexpr (std::is_same_v<First, std::error_code>) {
            if (first) return promise.set_error(std::make_exception_ptr(std::system_error(first)));
            give(promise, std::move(more)...);
        } else if constexpr (sizeof...(More) == 0) {
            promise.set_result(to_python(std::move(first)));
        } else {
            promise.set_result(to_python(std::tuple<First, More...>(std::move(first), std::move(more)...)));
        }
    }

    std::shared_ptr<Promise> promise_;
};

/// The type of as_future.
struct as_future_t {
    /// As a token: `owner` lives as long as the operation.
    as_future_t operator()(std::shared_ptr<const void> owner) const { return {std::move(owner)}; }
    /// Null: nothing needs to be kept.
    std::shared_ptr<const void> owner;
};
/// See the page's head.
inline const as_future_t as_future;

}  // namespace asioloop

/// @cond for Asio: how its operations take the token
template <class R, class... Args>
class asio::async_result<asioloop::as_future_t, R(Args...)> {
  public:
    /// The Future.
    using return_type = asioloop::Object;

    /// Starts the operation.
    template <class Initiation, class Token, class... Initial>
    static return_type initiate(Initiation&& initiation, Token&& token, Initial&&... arguments) {
        auto promise = asioloop::Promise::make(std::forward<Token>(token).owner);
        asioloop::Object future = promise->future();
        try {
            std::forward<Initiation>(initiation)(asioloop::FutureHandler(promise),
                                                 std::forward<Initial>(arguments)...);
        } catch (...) {
            promise->withdraw();
            throw;
        }
        return future;
    }
};
/// @endcond
