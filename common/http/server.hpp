// The HTTP/1 server: listening sockets, connections, limits, draining, and the sends of a turn.
//
// Threads: all members are for the I/O thread (the one that runs the io_context), the constructor and
// listen() for whoever comes before it. It never asks about the GIL.
#pragma once

#include <asio/io_context.hpp>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/runner/runner.hpp"

namespace asioserve::http {

/// Bounds on what a peer may make the server do; 0 means none where a line says so.
struct Limits {
    std::size_t head_bytes = 64 * 1024;           ///< request line and headers together: 414, 431
    std::int64_t body_bytes = 100 * 1024 * 1024;  ///< 413
    std::size_t connections = 0;                  ///< at once; 0: none. Further ones wait in the backlog
    std::size_t pipelined = 32;                   ///< requests of a connection that run at once
    std::size_t send_buffer_bytes =
        256 * 1024;  ///< of an exchange's unsent answer, then its credit is used up
    std::chrono::milliseconds header_time{
        30'000};  ///< from the first byte to the end of the head: 408; 0: none
    std::chrono::milliseconds body_time{60'000};  ///< for the whole body: 408; 0: none
    std::chrono::milliseconds keep_alive{5'000};  ///< idle between requests; 0: close after each answer
    std::chrono::milliseconds write_time{
        60'000};  ///< without the peer taking a byte, then it is cut; 0: none
};

/// How a server behaves; constant once it is made.
struct ServerOptions {
    /// What peers may do.
    Limits limits;
    /// Send `Server`.
    bool server_header = true;
    /// Send `Date`.
    bool date_header = true;
    bool deferred_sends = true;  ///< false only for the bench: every answer is its own send
    /// Tell the AccessLog of each answer.
    bool access_log = false;
    std::vector<std::pair<std::string, std::string>> headers;  ///< added to every answer
};

/// Called for every finished exchange when access_log is on. I/O thread.
struct AccessRecord {
    /// Who asked.
    Endpoints endpoints;
    /// What was asked for; lives for the call.
    const RequestHead* head;
    /// What was answered.
    int status;
    /// Of the answer.
    std::uint64_t body_bytes;
    /// From the request's head to the end of the answer.
    std::chrono::nanoseconds duration;
};
/// Is told of each answer. I/O thread.
using AccessLog = std::function<void(const AccessRecord&)>;

/// Live figures; I/O thread.
struct ServerStats {
    /// Since the start.
    std::uint64_t connections_accepted = 0;
    /// Now.
    std::uint64_t connections_open = 0;
    /// Since the start.
    std::uint64_t exchanges_started = 0;
    /// Started and not answered yet.
    std::uint64_t exchanges_active = 0;
    std::uint64_t buffers_held = 0;  ///< read buffers that connections have now
    std::uint64_t sends = 0;         ///< system calls
    std::uint64_t reads = 0;         ///< system calls
    std::uint64_t refused =
        0;  ///< requests that were no proper HTTP or beyond a limit; answered by the connection
    std::uint64_t timeouts = 0;                       ///< peers that were too slow
    std::uint64_t accept_failures = 0;                ///< mostly a shortage of descriptors
    std::array<std::uint64_t, 6> answers_by_class{};  ///< index 2: 2xx, and so on; 0: never answered
};

/// Listens, reads requests, has them answered, and sends the answers; one per io_context.
class Server {
  public:
    /// All but `options` outlive it.
    Server(asio::io_context& io, ServerOptions options, Handler& handler, Runner& runner, AccessLog log = {});
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Takes over a listening socket (TCP, IPv6 or Unix; common/http/listen.hpp opens them). Throws
    /// std::system_error.
    void listen(int fd);
    /// Accepts connections from now on.
    void start();
    /// Ends a turn of the loop: sends what answers have gathered and reads on, which may start further
    /// requests. To be called whenever the handlers that were ready have run and before the thread blocks.
    /// True: there is more to do; poll and call it again.
    bool end_turn();
    /// Stops accepting, answers what has begun with `Connection: close`, then calls `done`; what is not
    /// answered after `timeout` is cut and its exchanges get Broken::draining. Calling it again with a
    /// shorter timeout shortens it.
    void drain(std::chrono::milliseconds timeout, Job done);
    /// A copy of the live figures.
    ServerStats stats() const;

    class Core;

  private:
    std::unique_ptr<Core> core_;
};

/// Runs io until it is stopped, turn by turn: one blocking wait, everything that is ready, end_turn().
void run_turns(asio::io_context& io, Server& server);

}  // namespace asioserve::http
