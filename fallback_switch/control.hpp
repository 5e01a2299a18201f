// The control socket: one line in, one line out, over a Unix socket that only its owner may open.
//
//     switch N   ->  ok stage N serves, pid P      or  error <why>
//     status     ->  ok {"stage": …}
//
// Threads: the only one.
#pragma once

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <set>
#include <string>

namespace asioserve::fallback {

/// Gives the answer to a command, at once or later, once.
using Reply = std::function<void(std::string line)>;

class Control {
  public:
    /// Is given a line, and answers it by the reply.
    using Handler = std::function<void(const std::string& line, Reply reply)>;

    /// Listens after open().
    Control(asio::io_context& io, Handler handler);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    /// Opens the socket. Throws std::system_error with a sentence.
    void open(const std::string& path);
    /// Closes it and its connections, so that the loop can end.
    void close();

  private:
    class Session;
    void accept();

    asio::io_context& io_;
    asio::local::stream_protocol::acceptor acceptor_;
    asio::steady_timer pause_;
    Handler handler_;
    std::string path_;
    std::set<std::shared_ptr<Session>> sessions_;
};

}  // namespace asioserve::fallback
