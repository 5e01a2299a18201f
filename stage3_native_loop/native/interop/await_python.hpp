// async_await: C++ waits for a Python awaitable: a coroutine, a Future, a Task, anything with __await__.
//
//     asio::awaitable<void> work(asioloop::Object coroutine) {
//         asioloop::Object result = co_await asioloop::async_await(std::move(coroutine),
//         asio::use_awaitable);
//     }
//
// Any completion token will do; the signature is void(std::exception_ptr, Object). A coroutine becomes a
// task, which starts with a copy of the context variables, as in asyncio. A cancellation of the operation
// cancels the task (or the Future that was given); what is awaited then decides, as in asyncio. Its exception
// arrives as errors.hpp says. The handler is called on its executor, or on the loop's where it has none;
// never from inside the task's last step.
//
// Threads: with the GIL, in the loop's thread while it runs; anywhere else the operation ends with an
// exception.
#pragma once

#include "stage3_native_loop/native/interop/executor.hpp"

#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/post.hpp>
#include <asio/system_executor.hpp>
#include <asio/use_awaitable.hpp>
#include <exception>
#include <variant>

namespace asioloop {

/// What waits for the awaitable's end: told once, with the GIL, or destroyed untold with its loop.
class Waiter {
  public:
    /// `executor` is one of the loop on which it waits.
    explicit Waiter(Executor executor) : executor_(std::move(executor)) {}
    virtual ~Waiter() = default;
    /// Hands the outcome on, by an executor.
    virtual void complete(std::exception_ptr error, Object result) = 0;
    /// See the constructor.
    const Executor& executor() const noexcept { return executor_; }

  private:
    const Executor executor_;
};

/// Starts the awaitable on the waiter's loop. Gives the Future or Task that it has become; empty where that
/// has failed, of which the waiter is told. GIL, loop's thread.
Object start_awaitable(const Object& awaitable, const std::shared_ptr<Waiter>& waiter);

/// Cancels the Future soon, on the executor. Any thread.
void cancel_soon(const Executor& executor, Object future);

/// Executor::of_running_loop(); where there is none, the reason. Any thread.
std::variant<Executor, std::exception_ptr> executor_here();

/// Calls an Asio handler where it wants to be called; where it does not mind, on `executor`.
template <class H, class E>
void post_outcome(H handler, const E& executor, std::exception_ptr error, Object result) {
    const auto wanted = asio::get_associated_executor(handler, executor);
    asio::post(wanted, [handler = std::move(handler), error = std::move(error),
                        result = std::move(result)]() mutable {
        std::move(handler)(std::move(error), std::move(result));
    });
}

/// Waiter over an Asio handler.
template <class H>
class HandlerWaiter final : public Waiter {
  public:
    /// Takes the handler over.
    HandlerWaiter(H handler, Executor executor) : Waiter(std::move(executor)), handler_(std::move(handler)) {}
    void complete(std::exception_ptr error, Object result) override {
        auto slot = asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) slot.clear();
        post_outcome(std::move(handler_), executor(), std::move(error), std::move(result));
    }

  private:
    H handler_;
};

/// See the page's head.
template <class Token>
auto async_await(Object awaitable, Token&& token) {
    return asio::async_initiate<Token, void(std::exception_ptr, Object)>(
        [](auto handler, const Object& what) {
            const auto here = executor_here();
            const Executor* executor = std::get_if<Executor>(&here);
            if (!executor)
                return post_outcome(std::move(handler), asio::system_executor(),
                                    std::get<std::exception_ptr>(here), {});
            auto slot = asio::get_associated_cancellation_slot(handler);
            const auto waiter =
                std::make_shared<HandlerWaiter<decltype(handler)>>(std::move(handler), *executor);
            Object future = start_awaitable(what, waiter);
            if (future && slot.is_connected())
                slot.assign([executor = *executor, future = std::move(future)](asio::cancellation_type) {
                    cancel_soon(executor, future);
                });
        },
        token, std::move(awaitable));
}

/// For coroutines: `co_await asioloop::await(object)`.
inline asio::awaitable<Object> await(Object awaitable) {
    co_return co_await async_await(std::move(awaitable), asio::use_awaitable);
}

}  // namespace asioloop
