// One request and its answer, as everything above the connection sees it. No Python, no sockets.
//
// Threads: an exchange belongs to the I/O thread of its connection. The request side (head, body) is constant
// from Runner::start on and may be read from any thread for as long as an ExchangePtr is held, also after the
// peer left. Every other member is for the I/O thread only. Only the reference count is touched by several
// threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "common/runner/function.hpp"

namespace asioserve {

/// Methods that are told apart without comparing strings (RFC 9110 section 9, RFC 5789); `other` is any other
/// token.
enum class Method : std::uint8_t { get, head, post, put, patch, del, options, other };

/// A field line. In a request, `name` is in lower case already (RFC 9110 section 5.1: names ignore case).
struct Header {
    /// Without the colon.
    std::string_view name;
    /// Without white space around it.
    std::string_view value;
};

/// What came before the body. The views point into memory that the exchange keeps alive.
struct RequestHead {
    std::string_view method;          ///< as sent, e.g. "GET"
    std::string_view target;          ///< as sent, e.g. "/a%20b?x=1"
    std::string_view path;            ///< the target up to '?', still percent-encoded
    std::string_view query;           ///< the target behind '?', may be empty
    std::span<const Header> headers;  ///< in the order of the request, names in lower case
    std::int64_t content_length = 0;  ///< bytes; -1 when the body is chunked
    /// `method`, told apart.
    Method method_id = Method::other;
    std::uint8_t version_minor = 1;  ///< HTTP/1.x

    /// The first value of the field `lower_name`, or a view with a null data() where there is none.
    std::string_view header(std::string_view lower_name) const noexcept {
        for (const Header& h : headers)
            if (h.name == lower_name) return h.value;
        return {};
    }
};

/// Who is at the two ends; texts as in a log line ("127.0.0.1:4711", "unix:").
struct Endpoints {
    /// The other end.
    std::string_view peer;
    /// Our end.
    std::string_view local;
};

/// A whole answer as views that live for the call. The connection adds content-length, date, server,
/// connection.
struct AnswerView {
    /// As in the status line.
    int status = 200;
    std::string_view content_type;  ///< empty: no such field
    /// Whole; its length is the connection's business.
    std::string_view body;
    std::span<const Header> headers =
        {};  ///< further fields, in order; no CR or LF in them (the caller has checked)
};

/// How a streamed answer starts. Without a content length it is chunked (HTTP/1.1) or ends with the
/// connection (1.0).
struct AnswerHead {
    /// As in the status line.
    int status = 200;
    /// In order; no CR or LF in them.
    std::span<const Header> headers = {};
    /// Of the whole answer; -1: not known.
    std::int64_t content_length = -1;
};

/// Why a request body ended early, or why an answer can no longer be sent.
enum class Broken : std::uint8_t { peer_left, timed_out, too_large, malformed, draining };

/// Told on the I/O thread about a streamed body, room to send, and the peer. All calls end with on_broken or
/// with the release of the exchange. Implemented by common/app; never called from inside one of the
/// Exchange's verbs.
class ExchangeListener {
  public:
    virtual void on_body(std::string_view chunk, bool last) = 0;  ///< one chunk per Exchange::read_body
    virtual void on_send_credit() = 0;                            ///< send_credit() has become positive again
    virtual void on_broken(Broken why) = 0;                       ///< at most once
    /// The peer sends nothing more: it has left or, more rarely, only waits for the answer, which still goes
    /// out. Whoever wants to cancel when a peer leaves does it here too, as the difference cannot be seen
    /// before something is sent.
    virtual void on_peer_ended() {}

  protected:
    ~ExchangeListener() = default;
};

class Exchange {
  public:
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    // --- the request: any thread ---------------------------------------------------------------------------
    /// What came before the body.
    const RequestHead& head() const noexcept { return head_; }
    /// The whole body where Handler::route asked for BodyMode::collect, else empty.
    std::string_view body() const noexcept { return body_; }
    /// Counts up within a server; for logs.
    std::uint64_t id() const noexcept { return id_; }
    /// Who is at the two ends. Any thread.
    virtual Endpoints endpoints() const noexcept = 0;

    // --- the answer: I/O thread; exactly one of answer() or begin()…finish()
    // --------------------------------
    /// Sends a whole answer. May be called before Runner::start returns.
    virtual void answer(const AnswerView& answer) = 0;
    /// Starts a streamed answer.
    virtual void begin(const AnswerHead& head) = 0;
    /// Sends a chunk; it is copied or sent before this returns. Look at send_credit() afterwards.
    virtual void write(std::string_view chunk) = 0;
    /// Ends a streamed answer. Trailers are left out where the peer cannot take them.
    virtual void finish(std::span<const Header> trailers = {}) = 0;
    /// Gives up. Before begin(): a 500. After it: the connection is cut, so that the peer sees a broken
    /// message.
    virtual void fail() = 0;
    /// How many more bytes may be written before the peer has to read; at 0 or less wait for
    /// on_send_credit().
    virtual std::int64_t send_credit() const noexcept = 0;

    // --- the body as a stream (BodyMode::stream): I/O thread
    // ------------------------------------------------
    /// Asks for the next chunk: one on_body follows, perhaps later. Sends "100 Continue" if the peer waits
    /// for it.
    virtual void read_body() = 0;
    /// Who is told; null when nobody listens any more.
    void listener(ExchangeListener* l) noexcept { listener_ = l; }

    /// The peer has left: an answer goes nowhere (verbs stay safe to call and do nothing).
    bool peer_left() const noexcept { return peer_left_; }
    /// The peer has closed its side: most likely it has left (see ExchangeListener::on_peer_ended).
    bool peer_ended() const noexcept { return peer_left_ || peer_ended_; }

    /// Room for the Handler's own note on this request (its route and captures), free of allocation. I/O
    /// thread until Runner::start, then whoever runs the Handler's verbs.
    template <class T, class... A>
    T& note(A&&... a) {
        static_assert(sizeof(T) <= sizeof(note_));
        static_assert(alignof(T) <=
                      alignof(std::max_align_t));  // NOLINT(misc-redundant-expression): not for all T
        static_assert(std::is_trivially_destructible_v<T>);
        return *new (note_) T{std::forward<A>(a)...};
    }
    /// The note that was made before.
    template <class T>
    T& note_as() noexcept {
        return *std::launder(reinterpret_cast<T*>(note_));
    }

    /// The runner's own link from the exchange to what drives it; the runner says which thread.
    void* runner_slot = nullptr;

    /// Shares it. Any thread; ExchangePtr does it.
    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    /// Lets go of it. Any thread; the last one disposes.
    void release() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) dispose();
    }

  protected:
    Exchange() = default;
    virtual ~Exchange() = default;
    /// The last reference is gone, perhaps on another thread than the I/O thread.
    virtual void dispose() noexcept = 0;

    /// Constant from Runner::start on.
    RequestHead head_;
    /// See body().
    std::string_view body_;
    /// See id().
    std::uint64_t id_ = 0;
    /// See listener().
    ExchangeListener* listener_ = nullptr;
    /// How many ExchangePtr there are; it is made with one.
    std::atomic<std::uint32_t> references_{1};
    /// See peer_left().
    bool peer_left_ = false;
    /// See peer_ended().
    bool peer_ended_ = false;

  private:
    alignas(std::max_align_t) std::byte note_[192];
};

/// A counted reference to an Exchange.
class ExchangePtr {
  public:
    ExchangePtr() = default;
    /// Shares `x`.
    explicit ExchangePtr(Exchange& x) noexcept : x_(&x) { x.retain(); }
    /// Takes over a reference that the caller has.
    static ExchangePtr adopt(Exchange* x) noexcept {
        ExchangePtr p;
        p.x_ = x;
        return p;
    }
    /// Shares what the other one has.
    ExchangePtr(const ExchangePtr& o) noexcept : x_(o.x_) {
        if (x_) x_->retain();
    }
    /// Takes over what the other one has.
    ExchangePtr(ExchangePtr&& o) noexcept : x_(std::exchange(o.x_, nullptr)) {}
    /// Shares or takes over.
    ExchangePtr& operator=(ExchangePtr o) noexcept {
        std::swap(x_, o.x_);
        return *this;
    }
    ~ExchangePtr() {
        if (x_) x_->release();
    }
    /// The exchange; null when empty.
    Exchange* get() const noexcept { return x_; }
    /// The exchange; not when empty.
    Exchange& operator*() const noexcept { return *x_; }
    /// The exchange; not when empty.
    Exchange* operator->() const noexcept { return x_; }
    /// Whether there is one.
    explicit operator bool() const noexcept { return x_ != nullptr; }
    /// Gives the reference away: whoever takes it adopts it again.
    Exchange* detach() noexcept { return std::exchange(x_, nullptr); }

  private:
    Exchange* x_ = nullptr;
};

}  // namespace asioserve
