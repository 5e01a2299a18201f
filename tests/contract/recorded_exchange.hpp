// An exchange without a connection, which checks the rules of the seam and keeps the answer for the test.
//
// Threads: the exchange as common/runner/exchange.hpp says, and it fails the test when a verb comes from
// another thread than the I/O thread. Asked is for any thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/runner/exchange.hpp"

namespace contract {

/// What a test sees of an answer. Status 0: there was none in time.
struct Answer {
    int status = 0;
    std::string body;
    std::string content_type;
    std::vector<std::pair<std::string, std::string>> headers;
    bool failed = false;  ///< by Exchange::fail()

    bool operator==(const Answer&) const = default;
};

/// For the messages of GoogleTest.
void PrintTo(const Answer& answer, std::ostream* out);

/// The answer's side of an exchange; outlives it.
class Record {
  public:
    /// Blocks until the exchange was answered or has failed; fails the test after ten seconds.
    Answer wait();
    bool answered();
    /// Exchanges that are still referred to by anybody.
    static int live() noexcept;

  private:
    friend class RecordedExchange;
    void keep(Answer answer);

    std::mutex lock_;
    std::condition_variable changed_;
    std::vector<Answer> answers_;  // more than one is an error
};

class RecordedExchange final : public asioserve::Exchange {
  public:
    /// A GET of "/name?query". `io` is the only thread that may call the verbs of the answer.
    RecordedExchange(const std::string& name, std::string query, std::thread::id io,
                     std::shared_ptr<Record> record);

    asioserve::Endpoints endpoints() const noexcept override { return {"test:1", "test:2"}; }
    void answer(const asioserve::AnswerView& answer) override;
    void begin(const asioserve::AnswerHead& head) override;
    void write(std::string_view chunk) override;
    void finish(std::span<const asioserve::Header> trailers) override;
    void fail() override;
    std::int64_t send_credit() const noexcept override { return 1 << 20; }
    void read_body() override {}

  private:
    ~RecordedExchange() override;
    void dispose() noexcept override { delete this; }
    void check_thread() const;

    std::string path_, query_, target_;
    std::thread::id io_;
    std::shared_ptr<Record> record_;
    Answer streamed_;
};

}  // namespace contract
