// One connection: reads requests, starts exchanges, sends answers in the order of the requests.
//
// What happens within a turn of the loop: a read completes, read() parses and starts what came, answers
// gather in `out_`; at the end of the turn, turn() sends and settles what follows. A read is armed only
// there, so that one busy peer cannot keep the turn from ending. Nothing here calls itself again through a
// handler: an answer that is given inside Runner::start only leaves its bytes and a note. Threads: I/O
// thread.
#pragma once

#include <asio/basic_stream_socket.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "common/http/deadlines.hpp"
#include "common/http/handler_memory.hpp"
#include "common/http/http_exchange.hpp"
#include "common/http/request_parser.hpp"
#include "common/http/server.hpp"

namespace asioserve::http {

class Connection {
  public:
    /// TCP or Unix: one type for both.
    using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, asio::io_context::executor_type>;

    /// Takes over socket and ends; does nothing before the first turn.
    Connection(Server::Core& core, Socket socket, Ends* ends);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Shares it; ConnectionPtr does it.
    void retain() noexcept { ++references_; }
    /// Lets go of it; the last one deletes it.
    void release() noexcept {
        if (--references_ == 0) delete this;
    }

    // --- for the core
    // ---------------------------------------------------------------------------------------
    /// When to read next.
    enum class Read : std::uint8_t { no, now, next_turn };
    /// The end of a turn: goes on parsing if an answer made that possible, sends, and settles what follows.
    Read turn();
    /// Reads what is there, or waits for it; for when it is likely to be there.
    void read();
    /// Waits until there is something, and reads it then.
    void wait_readable();
    /// Whether it still waits for a read that was put off by a turn.
    bool wants_rested_read() const noexcept { return !closed_ && !reading_ && !eof_; }
    /// The deadline of `node` has passed.
    void on_deadline(Millis now);
    /// No further request: closes it when it is idle for `grace` more.
    void drain(Millis grace);
    /// Ends it at once; exchanges that are not answered are told.
    void close(Broken why);

    // --- for its exchanges
    // ----------------------------------------------------------------------------------
    /// What it shares with the others.
    Server::Core& core() noexcept { return core_; }
    /// Whether it is this one's turn to be sent.
    bool is_front(const HttpExchange& x) const noexcept { return front_ == &x; }
    /// Where its bytes go: out, or aside until those before it are answered.
    OutBuffer& out_for(HttpExchange& x) noexcept { return front_ == &x ? out_ : x.waiting_; }
    /// Whether this answer is the connection's last.
    bool closes_after(const HttpExchange& x) const noexcept;
    /// Sends a large body at once, without copying what the socket takes.
    void send_directly(std::string_view body);
    /// Something of an answer was written: it is sent at the end of the turn.
    void wrote(HttpExchange& x);
    /// It is answered whole: the next one may be sent.
    void finished(HttpExchange& x);
    /// See Exchange::send_credit.
    std::int64_t credit_of(const HttpExchange& x) const noexcept;
    /// See Exchange::read_body.
    void body_wanted(HttpExchange& x);

    bool listed = false;  ///< the core looks after us at the end of the turn
    /// The one thing that it waits for with a limit.
    Deadlines::Node node;
    Connection* next = nullptr;  ///< in the core's list
    /// In the core's list.
    Connection* previous = nullptr;

  private:
    /// Of a body that nobody wants. Reading more is dearer than a new connection.
    static constexpr std::uint64_t drop_bytes = 256 * 1024;
    /// Enough for Asio's record of a wait.
    static constexpr std::size_t read_memory_bytes = 160;

    /// What the bytes that come next are.
    enum class Phase : std::uint8_t {
        head,     ///< of the next request
        held,     ///< a request is there that may not start before those in front are answered
        collect,  ///< a body that is wanted whole
        stream,   ///< a body that its handler asks for in pieces
        drop,     ///< a body that nobody wants
        stop,     ///< of no interest
        linger    ///< to be thrown away, so that the peer gets to read our last answer
    };
    /// What the deadline of the reading side means.
    enum class Wait : std::uint8_t { nothing, idle, head, body, watch, linger };

    // taking requests out of what was read, in their order: connection.cpp
    void touch();
    void advance();
    bool step();
    bool step_head();
    bool resumable() const noexcept;
    RequestParser::Event feed(HttpExchange& x);
    bool may_start(const HttpExchange& x) const noexcept;
    void start_request();
    void enqueue(HttpExchange& x);
    void refuse(int status, std::string_view reason, Broken why);
    bool refuse_too_large(std::int64_t bytes);
    void refuse_malformed();

    // reading: connection_in.cpp
    struct ReadHandler;
    void on_readable(const asio::error_code& ec);
    void on_end_of_input();
    void give_up_input();
    bool make_room();
    void drop_idle_buffer();
    void drop_buffer();
    void watch_for_reset();
    std::uint64_t body_remaining() const noexcept;

    // bodies: connection_body.cpp
    bool step_collect();
    bool step_stream();
    bool step_drop();
    void collect(HttpExchange& x, std::string_view piece);
    void begin_body(HttpExchange& x, Phase phase);
    void end_body();
    void send_continue(HttpExchange& x);

    // waiting: connection_waits.cpp
    Read next_read();
    Read wait_for_body();
    Read watch();
    Read rest();
    void await(Wait what, Millis deadline);
    void set_deadline();

    // sending and closing: connection_out.cpp
    bool unsettled() const noexcept;
    void pop_finished();
    void send();
    void arm_write();
    void on_writable(const asio::error_code& ec);
    void settle();
    void finish_close();

    HttpExchange* body_exchange() noexcept { return static_cast<HttpExchange*>(body_of_.get()); }

    Server::Core& core_;
    Socket socket_;
    Ends* ends_;
    std::uint32_t references_ = 0;
    std::uint32_t queued_ = 0;
    std::uint32_t unsafe_ = 0;  ///< of those in the queue
    BlockRef block_;            ///< what is read into; bytes [parsed_, filled_) wait
    std::size_t parsed_ = 0;
    std::size_t filled_ = 0;
    RequestParser parser_;
    HttpExchange* fresh_ = nullptr;  ///< the request whose head is being read, or is held
    ExchangePtr body_of_;            ///< the request whose body is being read
    HttpExchange* front_ = nullptr;  ///< the queue, answered from the front
    HttpExchange* back_ = nullptr;
    OutBuffer out_;
    Millis read_deadline_ = never;
    Millis write_deadline_ = never;
    Millis idle_end_ = never;  ///< when an idle connection is closed
    Millis body_left_ = 0;     ///< of the time for a body; runs only while we wait for the peer
    Millis body_since_ = 0;    ///< since when it runs
    std::uint64_t body_bytes_ = 0;
    Phase phase_ = Phase::head;
    Wait wait_ = Wait::nothing;
    bool reading_ = false;  ///< a read, or a wait for one, is armed
    bool write_armed_ = false;
    bool advancing_ = false;
    bool in_turn_ = false;
    bool closed_ = false;
    bool closing_ = false;  ///< nothing is answered behind what is in out_
    bool broken_ = false;   ///< the socket has failed; closed at the end of the turn
    bool reset_ = false;    ///< close so that the peer notices that its answer is incomplete
    bool eof_ = false;
    bool linger_ = false;
    bool first_ = true;  ///< no request has come yet
    HandlerMemory<read_memory_bytes> read_memory_;
};

/// Keeps a connection while something may still come back to it.
class ConnectionPtr {
  public:
    ConnectionPtr() = default;
    /// Shares `c`.
    explicit ConnectionPtr(Connection* c) noexcept : c_(c) {
        if (c_) c_->retain();
    }
    /// Shares what the other one has.
    ConnectionPtr(const ConnectionPtr& o) noexcept : ConnectionPtr(o.c_) {}
    /// Takes over what the other one has.
    ConnectionPtr(ConnectionPtr&& o) noexcept : c_(std::exchange(o.c_, nullptr)) {}
    /// Shares or takes over.
    ConnectionPtr& operator=(ConnectionPtr o) noexcept {
        std::swap(c_, o.c_);
        return *this;
    }
    ~ConnectionPtr() {
        if (c_) c_->release();
    }
    /// The connection; not when empty.
    Connection* operator->() const noexcept { return c_; }
    /// The connection; not when empty.
    Connection& operator*() const noexcept { return *c_; }
    /// The connection; null when empty.
    Connection* get() const noexcept { return c_; }

  private:
    Connection* c_ = nullptr;
};

/// All open connections of a server; owns a reference to each.
class ConnectionList {
  public:
    /// Puts it in front.
    void add(Connection& c) noexcept {
        c.retain();
        c.next = first_;
        if (first_) first_->previous = &c;
        first_ = &c;
    }
    /// Takes it out.
    void remove(Connection& c) noexcept {
        (c.previous ? c.previous->next : first_) = c.next;
        if (c.next) c.next->previous = c.previous;
        c.next = c.previous = nullptr;
        c.release();
    }
    /// Where to begin; null when there is none.
    // The analyzer cannot know that close() takes a connection out of here before its last reference goes.
    Connection* first() const noexcept { return first_; }  // NOLINT(clang-analyzer-cplusplus.NewDelete)

  private:
    Connection* first_ = nullptr;
};

}  // namespace asioserve::http
