// Takes connections from one listening socket, several at once, and bears a shortage of descriptors.
//
// Threads: I/O thread.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "common/http/server.hpp"

namespace asioserve::http {

class Acceptor {
  public:
    /// Takes over the descriptor, also when it throws.
    Acceptor(Server::Core& core, asio::io_context& io, int fd);
    ~Acceptor();
    Acceptor(const Acceptor&) = delete;
    Acceptor& operator=(const Acceptor&) = delete;

    /// Waits for connections, unless the server is full. Calling it again is free.
    void start();
    /// Closes the socket. What is in its backlog stays there for others who have the socket too.
    void stop();

  private:
    void on_ready();
    void pause();

    Server::Core& core_;
    asio::posix::basic_stream_descriptor<asio::io_context::executor_type> socket_;
    asio::steady_timer pause_;
    const int family_;
    std::string local_;  ///< text of the local end; empty: ask for each connection
    bool waiting_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace asioserve::http
