// A closed-loop load: N connections, each with one batch of requests under way. It does less per request than
// wrk, so that the server is the bottleneck for longer; it has no latencies and no options that cost
// anything. Threads: one, blocking in epoll. GIL: not involved.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/load/answer_counter.hpp"
#include "bench/load/closed_loop.hpp"

namespace asioserve::bench {

/// The connections of one load. Errors of any kind are thrown as std::runtime_error with a sentence.
class Load {
  public:
    /// Connects. Connection i sends requests[i % requests.size()], `depth` times in one write.
    Load(const std::string& host, std::uint16_t port, std::size_t connections, std::size_t depth,
         const std::vector<std::string>& requests);
    ~Load();
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    /// Keeps every connection busy for `length`, then waits for the answers that are still to come.
    LoadFigures run(std::chrono::duration<double> length);

  private:
    struct Connection {
        int fd = -1;
        const std::string* batch = nullptr;
        std::size_t left = 0;    // answers to come of the batch
        std::size_t unsent = 0;  // bytes of the batch that did not fit into the socket
        AnswerCounter answers;
    };

    void send_batch(Connection& connection);
    void send_rest(Connection& connection);
    void watch(Connection& connection, bool for_writing);
    void on_readable(Connection& connection, bool more);

    int epoll_ = -1;
    std::size_t depth_;
    std::size_t busy_ = 0;  // connections with answers to come
    std::uint64_t answered_ = 0;
    std::vector<std::string> batches_;
    std::vector<Connection> connections_;
    std::vector<char> buffer_;
};

}  // namespace asioserve::bench
