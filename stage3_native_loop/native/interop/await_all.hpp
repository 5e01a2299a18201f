// await_all: C++ waits for several Python awaitables at once.
//
//     auto [user, orders] = co_await asioloop::await_all(std::move(a), std::move(b));
//
// The first that fails cancels the others; when all have ended its exception is thrown. Asio's own operator
// && is of no use for that: when two have failed, one of them only because it was cancelled, it throws the
// exception of the leftmost.
//
// Threads: as async_await (await_python.hpp).
#pragma once

#include "stage3_native_loop/native/interop/await_python.hpp"

#include <array>
#include <asio/experimental/deferred.hpp>
#include <asio/experimental/parallel_group.hpp>
#include <concepts>
#include <cstddef>
#include <tuple>
#include <utility>

namespace asioloop {

/// See the page's head. The results, in the order of the arguments.
template <std::same_as<Object>... Awaitable>
asio::awaitable<std::tuple<Awaitable...>> await_all(Awaitable... awaitables) {
    constexpr std::size_t n = sizeof...(Awaitable);
    // The order of ends, then an exception and a result for each.
    auto ends = co_await asio::experimental::make_parallel_group(
                    async_await(std::move(awaitables), asio::experimental::deferred)...)
                    .async_wait(asio::experimental::wait_for_one_error(), asio::use_awaitable);
    co_return [&]<std::size_t... i>(std::index_sequence<i...>) {
        const std::array<std::exception_ptr, n> errors{std::get<1 + 2 * i>(ends)...};
        for (const std::size_t at : std::get<0>(ends))
            if (errors[at]) std::rethrow_exception(errors[at]);
        return std::tuple<Awaitable...>(std::move(std::get<2 + 2 * i>(ends))...);
    }
    (std::make_index_sequence<n>());
}

}  // namespace asioloop
