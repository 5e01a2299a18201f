// A closed-loop load for the loops' bench: every connection sends a message, waits for the answer, sends the
// next. It checks each byte of each answer and does little else, so that the measured loop stays the
// bottleneck. Threads: one, blocking in epoll. GIL: not involved.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/closed_loop.hpp"
#include "bench/loop/client/channel.hpp"

namespace asioserve::bench {

/// What is sent, and what has to come back. Byte i of any message is (i * 31) mod 256: an echo, or the
/// beginning of one, or more of the same.
struct MessageShape {
    std::size_t request = 1024;  ///< bytes of a message
    std::size_t answer = 1024;   ///< bytes of its answer
    std::size_t depth = 1;       ///< messages under way on each connection
};

/// The message that an MessageShape is made of, `size` bytes long.
std::string pattern(std::size_t size);

/// The connections of one load. Errors of any kind are thrown as std::runtime_error with a sentence.
class EchoLoad {
  public:
    /// Connects.
    EchoLoad(const Target& target, std::size_t connections, MessageShape shape);
    ~EchoLoad();
    EchoLoad(const EchoLoad&) = delete;
    EchoLoad& operator=(const EchoLoad&) = delete;

    /// Keeps every connection busy for `length`, then waits for the answers that are still to come.
    LoadFigures run(std::chrono::duration<double> length);

  private:
    struct Connection {
        std::unique_ptr<Channel> channel;
        std::size_t unsent = 0;    // messages not sent in full
        std::size_t sent = 0;      // bytes of the first of them
        std::size_t awaited = 0;   // answers to come
        std::size_t received = 0;  // bytes of the first of them
        bool waits_to_write = false;
    };

    void send(Connection& connection);
    void receive(Connection& connection, bool more);
    std::size_t take(Connection& connection, std::string_view bytes);

    int epoll_ = -1;
    MessageShape shape_;
    std::string message_;
    std::size_t under_way_ = 0;  // answers to come, of all connections
    std::uint64_t answered_ = 0;
    std::vector<Connection> connections_;
    std::vector<char> buffer_;
};

}  // namespace asioserve::bench
