// An exchange without a connection: it records the answer, and the test plays the peer.
//
// Threads: one; what stands for the I/O thread is whoever calls.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/runner/exchange.hpp"

namespace asioserve::app::test {

using Fields = std::vector<std::pair<std::string, std::string>>;

/// What the test says a client sent.
struct Asked {
    std::string method = "GET";
    std::string target = "/";
    Fields headers;
    std::string body;
    int version_minor = 1;
};

class TestExchange final : public Exchange {
  public:
    static std::int64_t alive() noexcept { return alive_; }

    explicit TestExchange(Asked asked);
    ~TestExchange() override { --alive_; }

    Endpoints endpoints() const noexcept override { return {"127.0.0.1:4711", "[::1]:80"}; }
    void answer(const AnswerView& view) override;
    void begin(const AnswerHead& head) override;
    void write(std::string_view chunk) override;
    void finish(std::span<const Header> trailers) override;
    void fail() override { failed = true; }
    std::int64_t send_credit() const noexcept override { return credit; }
    void read_body() override { ++reads; }
    void dispose() noexcept override { delete this; }

    ExchangeListener* listening() const noexcept { return listener_; }
    /// What the connection does after Handler::route asked for a whole body.
    void collect() { body_ = asked_.body; }
    /// The peer leaves; a listener is told.
    void leave(Broken why);
    /// The peer closes its side and may wait for the answer.
    void end();

    int answers = 0;
    int status = 0;
    Fields headers;
    std::string body;
    std::vector<std::string> chunks;
    Fields trailers;
    std::int64_t content_length = -1;
    std::int64_t credit = 1 << 20;
    int reads = 0;
    bool begun = false;
    bool finished = false;
    bool failed = false;

  private:
    static inline std::int64_t alive_ = 0;
    Asked asked_;
    std::vector<Header> fields_;
};

}  // namespace asioserve::app::test
