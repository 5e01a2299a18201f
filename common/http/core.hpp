// What the connections of a server share: options, memory, clock, deadlines, and the lists of a turn.
//
// Threads: I/O thread.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "common/http/acceptor.hpp"
#include "common/http/answer_text.hpp"
#include "common/http/connection.hpp"
#include "common/http/deadlines.hpp"
#include "common/http/memory.hpp"
#include "common/http/server.hpp"

namespace asioserve::http {

class Server::Core {
  public:
    /// See Server.
    Core(asio::io_context& io, ServerOptions options, Handler& handler, Runner& runner, AccessLog log);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    /// How long an idle connection stays open while draining: its next request may be on its way already.
    static constexpr Millis drain_grace = 1000;

    // --- for Server
    // -----------------------------------------------------------------------------------------
    /// See Server::listen.
    void listen(int fd);
    /// See Server::start.
    void start();
    /// See Server::end_turn.
    bool end_turn();
    /// See Server::drain.
    void drain(std::chrono::milliseconds timeout, Job done);

    // --- for connections and acceptors
    // ----------------------------------------------------------------------
    /// What it runs on.
    asio::io_context& io() noexcept { return io_; }
    /// As given.
    const ServerOptions& options() const noexcept { return options_; }
    /// As given.
    const Limits& limits() const noexcept { return options_.limits; }
    /// Who answers.
    Handler& handler() noexcept { return handler_; }
    /// Who runs what answers.
    Runner& runner() noexcept { return runner_; }
    /// Where exchanges come from.
    Memory& memory() noexcept { return *memory_; }
    /// Where buffers come from.
    BlockPool& blocks() noexcept { return memory_->blocks; }
    /// Of all connections.
    Deadlines& deadlines() noexcept { return deadlines_; }
    /// To count in.
    ServerStats& stats() noexcept { return stats_; }
    /// To read.
    const ServerStats& stats() const noexcept { return stats_; }
    /// Server::drain was called.
    bool draining() const noexcept { return draining_; }
    /// For an exchange.
    std::uint64_t next_id() noexcept { return ++last_id_; }

    /// The time, read once a turn.
    Millis now() noexcept { return now_ != never ? now_ : read_clock(); }
    /// Brings the Date header up to date, once a turn.
    AnswerText& text() noexcept {
        if (!text_updated_) update_text();
        return text_;
    }

    /// A socket that has just connected.
    void adopt(int fd, int family, Ends* ends);
    /// Whether no further connection may be accepted for now.
    bool full() const noexcept {
        return options_.limits.connections != 0 && stats_.connections_open >= options_.limits.connections;
    }
    /// A connection has closed.
    void gone(Connection& c);
    /// Looks after `c` at the end of the turn.
    void touch(Connection& c) {
        if (c.listed) return;
        c.listed = true;
        touched_.push_back(ConnectionPtr(&c));
    }
    /// Delivers the end of an empty body at the end of the turn.
    void deliver_end(HttpExchange& x);
    /// Counts it.
    void started(HttpExchange& x) noexcept;
    /// Counts it and tells the access log.
    void answered(HttpExchange& x, int status, std::uint64_t bytes,
                  std::chrono::steady_clock::time_point since);

  private:
    Millis read_clock() noexcept;
    void update_text() noexcept;
    void read_rested();
    void arm_timer();
    void on_timer();
    void on_drain_deadline();
    void check_drained();

    asio::io_context& io_;
    const ServerOptions options_;
    Handler& handler_;
    Runner& runner_;
    const AccessLog log_;
    Memory* const memory_;
    AnswerText text_;
    Millis now_ = never;
    bool text_updated_ = false;
    Deadlines deadlines_;
    asio::steady_timer timer_;
    Millis timer_due_ = never;
    ServerStats stats_;
    std::uint64_t last_id_ = 0;
    std::vector<std::unique_ptr<Acceptor>> acceptors_;
    ConnectionList connections_;
    std::vector<ConnectionPtr> touched_;  ///< have something to do at the end of this turn
    std::vector<ConnectionPtr> turning_;  ///< the same while it is done
    std::vector<ConnectionPtr> fresh_;    ///< answered in this turn
    std::vector<ConnectionPtr> rested_;   ///< answered in the turn before: to be read now
    std::vector<ExchangePtr> ends_;
    bool draining_ = false;
    asio::steady_timer drain_timer_;
    std::chrono::steady_clock::time_point drain_until_ = std::chrono::steady_clock::time_point::max();
    std::vector<Job> drained_;
    std::shared_ptr<bool> alive_ =
        std::make_shared<bool>(true);  ///< for timers that outlive us in the io_context
};

}  // namespace asioserve::http
