// The line between an exchange on its I/O thread and the Python objects that stream through it.
//
// Threads: the public verbs are for the loop's thread (or the I/O thread before the loop knows the exchange),
// GIL held.
//   owner_                          with the GIL
//   attached_ waiting_ cancels_     I/O thread
//   broken_ ended_ credit_ queued_  any thread (atomic)
// Where both are one thread every verb acts at once; elsewhere it becomes a job on the runner's queues, in
// order.
#pragma once

#include "common/python/gil.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/app/shared.hpp"
#include "common/runner/exchange.hpp"

namespace asioserve::app {

class Channel final : public ExchangeListener, public std::enable_shared_from_this<Channel> {
  public:
    /// Who is told, on the loop's thread with the GIL held.
    class Owner {
      public:
        /// A chunk that read_body() asked for.
        virtual void body_came(std::string_view chunk, bool last) ASIOSERVE_REQUIRES(py::gil) = 0;
        /// There is room to send again.
        virtual void credit_came() ASIOSERVE_REQUIRES(py::gil) = 0;
        /// Nothing more comes, and nothing can be sent. Once.
        virtual void broke(Broken why) ASIOSERVE_REQUIRES(py::gil) = 0;

      protected:
        ~Owner() = default;
    };
    /// Names and values that cross threads: owned.
    using Fields = std::vector<std::pair<std::string, std::string>>;

    /// Listens to nothing before attach().
    Channel(std::shared_ptr<Shared> shared, Exchange& x, Owner& owner)
        : shared_(std::move(shared)), x_(x), owner_(&owner) {}

    /// Listens from now on. With `cancels`, the request's task is cancelled when the peer leaves.
    void attach(bool cancels);
    /// The owner goes away: nobody is told any more, and the exchange forgets about this.
    void disown() noexcept ASIOSERVE_REQUIRES(py::gil);

    /// Asks for the next chunk of the body: one body_came() or broke() follows.
    void read_body();
    /// As Exchange::begin, on its way to the I/O thread.
    void begin(int status, std::span<const Header> headers, std::int64_t content_length);
    /// As Exchange::write; the chunk is copied when it has to cross.
    void write(std::string_view chunk);
    /// As Exchange::finish.
    void finish(std::span<const Header> trailers);
    /// As Exchange::fail.
    void fail();
    /// Whether more may be written without waiting. On two threads an estimate: what is on its way counts as
    /// unsent.
    bool has_credit() const noexcept { return credit_.load() - queued_.load() > 0; }
    /// Asks to be told by credit_came().
    void wait_for_credit();
    /// Nothing that is sent can arrive any more, as far as is known; exact on the I/O thread.
    bool broken() const noexcept { return broken_.load() || (shared_->on_io_thread() && x_->peer_left()); }
    /// The peer has sent its last byte, as far as is known: it has left, or it only waits for its answer.
    bool ended() const noexcept { return ended_.load() || broken(); }

    void on_body(std::string_view chunk, bool last) override;
    void on_send_credit() override;
    void on_broken(Broken why) override;
    void on_peer_ended() override;

  private:
    // Until the I/O thread has said how much there is.
    static constexpr std::int64_t first_credit = 64 * 1024;

    void listen();
    void cancel();
    template <class F>
    void run_io(F job) {
        shared_->run_io([self = shared_from_this(), job = std::move(job)]() mutable { job(*self); });
    }
    template <class F>
    void tell(F job) {
        shared_->run_python([self = shared_from_this(), job = std::move(job)]() mutable {
            py::gil.assert_held();
            if (self->owner_ != nullptr) job(*self->owner_);
        });
    }

    const std::shared_ptr<Shared> shared_;
    const ExchangePtr x_;
    Owner* owner_;
    bool attached_ = false;
    bool waiting_ = false;
    bool cancels_ = false;
    std::atomic<bool> broken_{false};
    std::atomic<bool> ended_{false};
    std::atomic<std::int64_t> credit_{first_credit};
    std::atomic<std::int64_t> queued_{0};
};

}  // namespace asioserve::app
