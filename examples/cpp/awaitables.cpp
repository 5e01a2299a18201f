// What C++ and Python can await of each other: a built-in module for programs that link asioloop_core.
//
// Each function is called by Python in a running asioloop.Loop, and gives an asyncio.Future.
#include "stage3_native_loop/native/interop/pybind.hpp"

#include <asio/co_spawn.hpp>
#include <asio/experimental/channel.hpp>
#include <asio/ip/udp.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>

namespace {

using asio::ip::udp;
using asioloop::as_future;
using asioloop::Executor;
using asioloop::Object;

// [guide-coroutine]
// A coroutine owns what it waits with: the timer lives as long as somebody waits for it.
asio::awaitable<std::string> wait_for(std::chrono::duration<double> time) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(time));
    co_await timer.async_wait(asio::use_awaitable);
    co_return "waited";
}

Object sleep_for(double seconds) {
    const std::chrono::duration<double> time(seconds);
    return asio::co_spawn(Executor::of_running_loop(), wait_for(time), as_future);
}
// [guide-coroutine]

// [guide-socket]
/// A UDP socket on 127.0.0.1. A coroutine that uses it owns it too: Python may drop its own reference
/// meanwhile.
class Datagrams : public std::enable_shared_from_this<Datagrams> {
  public:
    Datagrams() : socket_(Executor::of_running_loop(), udp::endpoint(asio::ip::address_v4::loopback(), 0)) {}
    unsigned short port() const { return socket_.local_endpoint().port(); }
    /// The next datagram's text and its sender's port.
    Object receive() { return asio::co_spawn(socket_.get_executor(), next(shared_from_this()), as_future); }
    void close() { socket_.close(); }

  private:
    static asio::awaitable<std::tuple<std::string, int>> next(std::shared_ptr<Datagrams> self) {
        std::string text(2048, '\0');
        udp::endpoint from;
        const std::size_t size =
            co_await self->socket_.async_receive_from(asio::buffer(text), from, asio::use_awaitable);
        text.resize(size);
        co_return std::tuple(std::move(text), static_cast<int>(from.port()));
    }
    udp::socket socket_;
};
// [guide-socket]

// [guide-channel]
/// A C++ channel of Python objects. A plain operation needs no coroutine: the token makes the Future, and
/// keeps the channel as long as the operation.
class Channel : public std::enable_shared_from_this<Channel> {
  public:
    explicit Channel(std::size_t capacity) : channel_(Executor::of_running_loop(), capacity) {}
    Object send(Object object) {
        return channel_.async_send(std::error_code(), std::move(object), as_future(shared_from_this()));
    }
    Object receive() { return channel_.async_receive(as_future(shared_from_this())); }
    void close() { channel_.close(); }

  private:
    asio::experimental::channel<asio::any_io_executor, void(std::error_code, Object)> channel_;
};
// [guide-channel]

// [guide-overlap]
// Three Python coroutines at once; the first that fails cancels the others.
Object overlap(Object a, Object b, Object c) {
    return asio::co_spawn(Executor::of_running_loop(),
                          asioloop::await_all(std::move(a), std::move(b), std::move(c)), as_future);
}
// [guide-overlap]

}  // namespace

PYBIND11_MODULE(cpp_awaitables, m) {
    asioloop::translate_exceptions();
    m.def("sleep", &sleep_for);
    m.def("overlap", &overlap);
    pybind11::class_<Datagrams, std::shared_ptr<Datagrams>>(m, "Datagrams")
        .def(pybind11::init())
        .def_property_readonly("port", &Datagrams::port)
        .def("receive", &Datagrams::receive)
        .def("close", &Datagrams::close);
    pybind11::class_<Channel, std::shared_ptr<Channel>>(m, "Channel")
        .def(pybind11::init<std::size_t>())
        .def("send", &Channel::send)
        .def("receive", &Channel::receive)
        .def("close", &Channel::close);
}
