// A server and its clients on one thread: the test turns the loop until what it waits for has happened.
//
// Threads: one. Nothing sleeps; until() gives up after a limit that only a fault reaches.
#pragma once

#include <gtest/gtest.h>

#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/server.hpp"
#include "tests/fakes/fake_handler.hpp"
#include "tests/fakes/fake_runner.hpp"

namespace asioserve::test {

/// One answer, taken apart by a reader that is not the server's.
struct Answer {
    int status = 0;
    std::string head;  ///< status line and fields, with their line ends
    std::string body;  ///< without its framing
    std::string trailers;
    bool close = false;
    bool chunked = false;
    std::string field(std::string_view lower_name) const;
    bool has(std::string_view lower_name) const;
};

class Harness;

class Client {
  public:
    Client(Harness& harness, int fd) : harness_(harness), fd_(fd) {}
    ~Client();
    Client(Client&& o) noexcept
        : harness_(o.harness_), fd_(std::exchange(o.fd_, -1)), in_(std::move(o.in_)) {}

    /// Sends all of it, turning the loop while the server does not read.
    void send(std::string_view bytes);
    /// Sends what the socket takes without waiting; returns how much.
    std::size_t send_some(std::string_view bytes);
    /// Reads one answer; fails the test if the connection ends before it is complete.
    Answer answer(bool to_head = false);
    /// Reads to the end of the connection.
    std::string rest();
    /// Bytes that are there, or come within a few turns.
    std::string available();
    /// Waits until at least n bytes have come, and takes them.
    std::string take(std::size_t n);
    /// Waits for the end. False: more bytes came.
    bool closed();
    /// Whether the connection was reset; to be asked after its end.
    bool was_reset() const { return reset_; }
    void shut_write();
    void reset();
    void close();
    int fd() const { return fd_; }

  private:
    bool fill();

    Harness& harness_;
    int fd_;
    std::string in_;
    bool end_ = false;
    bool reset_ = false;
};

class Harness : public ::testing::Test {
  public:
    /// One turn of the loop, waiting for `wait` at most.
    void turn(std::chrono::milliseconds wait = std::chrono::milliseconds(5));
    /// Turns the loop until it is so.
    void until(const std::function<bool()>& so);
    /// Some turns, for what must not happen.
    void idle(int turns = 20);

  protected:
    ~Harness() override;
    /// Starts the server; a test that needs other options sets them before.
    void serve();
    Client connect(int receive_buffer = 0);
    /// Sends a request on a connection of its own, and reads the answer and the end if there is one.
    Answer ask(std::string_view request, bool to_head = false);

    asio::io_context io{ASIO_CONCURRENCY_HINT_UNSAFE_IO};
    http::ServerOptions options;
    fakes::ScriptHandler handler;
    fakes::FakeRunner runner{io, handler};
    http::AccessLog access_log;
    std::unique_ptr<http::Server> server;
    std::vector<ExchangePtr> started;  ///< exchanges that the default script keeps
    std::uint16_t port = 0;

    /// on_start: keeps the exchange in `started`.
    void keep_started();
    /// on_start: answers with method and target.
    void answer_targets();
};

/// Records what a listener is told, and goes on reading if asked to.
struct Listener final : ExchangeListener {
    Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() {
        if (of_) of_->listener(nullptr);
    }
    void listen(Exchange& x) {
        of_ = ExchangePtr(x);
        x.listener(this);
    }
    /// Listens, and reads the body to its end.
    void read(Exchange& x) {
        exchange = &x;
        listen(x);
        x.read_body();
    }
    void on_body(std::string_view chunk, bool last) override {
        ++chunks;
        body.append(chunk);
        over = last;
        if (!last && exchange) exchange->read_body();
    }
    void on_send_credit() override {
        ++credits;
        if (refill) refill();
    }
    void on_broken(Broken why) override {
        ++breaks;
        broken = why;
    }
    void on_peer_ended() override { peer_ended = true; }

    Exchange* exchange = nullptr;  ///< to read on by itself
    std::function<void()> refill;
    std::string body;
    int chunks = 0, credits = 0, breaks = 0;
    bool over = false, peer_ended = false;
    Broken broken = Broken::draining;

  private:
    ExchangePtr of_;  ///< a server that is torn down behind us must not tell us
};

inline constexpr std::string_view get_hello = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

}  // namespace asioserve::test
