// An exchange of HTTP/1: writes its answer to its connection, or keeps it until those before it are answered.
//
// Threads: as common/runner/exchange.hpp says. `connection_` is null from the moment that there is nobody to
// answer.
#pragma once

#include <chrono>
#include <cstdint>

#include "common/http/answer_text.hpp"
#include "common/http/memory.hpp"
#include "common/http/out_buffer.hpp"
#include "common/http/request_lines.hpp"
#include "common/runner/handler.hpp"

namespace asioserve::http {

class Connection;

class HttpExchange final : public Exchange {
  public:
    /// From Memory::make_exchange().
    explicit HttpExchange(Memory& memory) : memory_(memory) {}
    ~HttpExchange() override;

    /// See Exchange::endpoints.
    Endpoints endpoints() const noexcept override { return {ends_->peer, ends_->local}; }
    void answer(const AnswerView& answer) override;
    /// See Exchange::begin.
    void begin(const AnswerHead& head) override;
    void write(std::string_view chunk) override;
    /// See Exchange::finish.
    void finish(std::span<const Header> trailers) override;
    void fail() override;
    std::int64_t send_credit() const noexcept override;
    void read_body() override;

    /// Tells the listener that an empty body is over.
    void deliver_end();

    HttpExchange* next = nullptr;  ///< in the queue of its connection, or in a list of Memory

  private:
    friend class Connection;
    friend class ConnectionReader;

    void dispose() noexcept override { memory_.dispose(this); }
    void join(Connection& connection, Ends& ends, std::uint64_t id) noexcept;
    void publish_head(const BlockRef& block) noexcept;
    void answer_unusual(const AnswerView& answer);
    bool has_body(int status) const noexcept;
    AnswerText::Connection decide_connection(bool app_closes) noexcept;
    bool sends_directly(std::string_view bytes) const noexcept;
    void note_peer_ended();
    void complete();

    Memory& memory_;
    Connection* connection_ = nullptr;
    Ends* ends_ = nullptr;
    BlockRef block_;                                 ///< has the head, and a small body
    OutBuffer collected_;                            ///< a body that is not in block_
    OutBuffer waiting_;                              ///< the answer, while others go first
    std::chrono::steady_clock::time_point started_;  ///< only with an access log
    std::uint64_t sent_bytes_ = 0;                   ///< of the answer's body
    std::int64_t left_ = -1;  ///< bytes still to come of a begun answer with a length; -1: no length
    int status_ = 0;
    Kind kind_ = Kind::plain;  ///< for Runner::start, once the body is there
    bool begun_ = false;
    bool done_ = false;         ///< answered, or given up
    bool close_after_ = false;  ///< no further answer on this connection
    bool cut_ = false;          ///< given up in the middle
    bool silent_ = false;       ///< the answer has no body: HEAD, 204, 304
    bool chunked_ = false;
    bool until_close_ = false;
    bool wants_body_ = false;
    bool body_over_ = false;     ///< all of it has been read, and the last chunk delivered
    bool end_told_ = false;      ///< the end of a body that is not to be had has been delivered
    bool continue_due_ = false;  ///< the peer waits for "100 Continue"
    bool out_of_credit_ = false;
    RequestLines lines_;
};

}  // namespace asioserve::http
