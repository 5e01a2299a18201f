// An exchange without a connection: its request is what a test says, its answer is recorded.
//
// Threads: as common/runner/exchange.hpp says; wait() and the record are for any thread once wait() has
// returned true.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/runner/exchange.hpp"

namespace asioserve::fakes {

class FakeExchange final : public Exchange {
  public:
    using Fields = std::vector<std::pair<std::string, std::string>>;

    /// Header names are to be in lower case, as a connection would make them.
    static ExchangePtr make(std::string method, std::string target, Fields headers = {},
                            std::string body = {});
    /// The same as what make() returned.
    static FakeExchange& of(const ExchangePtr& x) { return static_cast<FakeExchange&>(*x); }
    /// How many are alive, for tests that look for leaks.
    static int alive() noexcept;

    Endpoints endpoints() const noexcept override { return {"127.0.0.1:4711", "127.0.0.1:8000"}; }
    void answer(const AnswerView& answer) override;
    void begin(const AnswerHead& head) override;
    void write(std::string_view chunk) override;
    void finish(std::span<const Header> trailers) override;
    void fail() override;
    std::int64_t send_credit() const noexcept override;
    void read_body() override;

    // --- what a test does
    // -----------------------------------------------------------------------------------
    /// Waits until the answer is complete (or given up). False: it was not in time.
    bool wait(std::chrono::milliseconds limit = std::chrono::seconds(20));
    /// Gives on_body a chunk. I/O thread.
    void give_body(std::string_view chunk, bool last);
    /// The peer leaves: tells the listener. I/O thread.
    void leave(Broken why = Broken::peer_left);
    /// How much credit there is before a slow peer has to read; default: no end of it.
    void credit(std::int64_t bytes);
    /// The peer has read everything: tells the listener that there is room again. I/O thread.
    void drain_peer(std::int64_t bytes);

    // --- what was recorded
    // ----------------------------------------------------------------------------------
    int status() const { return locked(status_); }
    std::string content_type() const { return locked(content_type_); }
    std::string answer_body() const { return locked(answer_body_); }
    Fields answer_headers() const { return locked(answer_headers_); }
    Fields trailers() const { return locked(trailers_); }
    bool answered() const { return locked(complete_); }
    bool failed() const { return locked(failed_); }
    bool streamed() const { return locked(streamed_); }
    int answers() const { return locked(answers_); }        ///< more than one is a fault of the runner
    int body_reads() const { return locked(body_reads_); }  ///< read_body() without a chunk since
    std::size_t writes() const { return locked(writes_); }

  private:
    FakeExchange(std::string method, std::string target, Fields headers, std::string body);
    ~FakeExchange() override;
    void dispose() noexcept override { delete this; }
    void complete();
    template <class T>
    T locked(const T& value) const {
        const std::lock_guard lock(mutex_);
        return value;
    }

    const std::string method_text_, target_text_, body_text_;
    const Fields fields_;
    std::vector<Header> header_views_;

    mutable std::mutex mutex_;  ///< guards all that follows
    std::condition_variable done_;
    int status_ = 0;
    std::string content_type_, answer_body_;
    Fields answer_headers_, trailers_;
    bool complete_ = false, failed_ = false, streamed_ = false;
    int answers_ = 0, body_reads_ = 0;
    std::size_t writes_ = 0;
    std::int64_t credit_ = std::int64_t{1} << 40;
};

}  // namespace asioserve::fakes
