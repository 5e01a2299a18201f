// Sizes that a peer may not exceed.
#include "tests/common/http/harness.hpp"

namespace asioserve::test {
namespace {

class LimitsTest : public Harness {
  protected:
    void collect() {
        handler.on_route = [](Exchange&) { return Routed{Kind::plain, BodyMode::collect}; };
        answer_targets();
    }
    void refused(const std::string& request, int status) {
        Client c = connect();
        c.send(request);
        const Answer a = c.answer();
        EXPECT_EQ(a.status, status);
        EXPECT_TRUE(a.close);
        EXPECT_TRUE(c.closed());
    }
};

TEST_F(LimitsTest, ARequestLineMayHave64KiB) {
    answer_targets();
    serve();
    EXPECT_EQ(ask("GET /" + std::string(60'000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    refused("GET /" + std::string(70'000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414);
    refused("GET /" + std::string(1'000'000, 'a'), 414);
}

TEST_F(LimitsTest, HeadersMayHave64KiB) {
    answer_targets();
    serve();
    EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(60'000, 'a') + "\r\n\r\n").status, 200);
    refused("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(70'000, 'a') + "\r\n\r\n", 431);
    std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 0; i < 20'000; ++i) many += "a: b\r\n";
    refused(many + "\r\n", 431);
}

TEST_F(LimitsTest, AHeadThatGrowsSlowlyIsKept) {
    handler.on_start = [](Exchange& x, AnswerSink answer) {
        answer({.status = 200, .content_type = {}, .body = x.head().header("x")});
    };
    serve();
    Client c = connect();
    c.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    std::string value;
    for (int i = 0; i < 50; ++i) {
        const std::string piece(1000, static_cast<char>('a' + i % 26));
        c.send(piece);
        turn(std::chrono::milliseconds(0));
        value += piece;
    }
    c.send("\r\n\r\n");
    EXPECT_TRUE(c.answer().body == value);
}

TEST_F(LimitsTest, ABodyMayNotExceedItsLimit) {
    options.limits.body_bytes = 1000;
    collect();
    serve();
    EXPECT_EQ(
        ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'a')).status,
        200);
    refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'a'), 413);
    refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000000000000000\r\n\r\n", 413);
    refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" +
                std::string(1001, 'a') + "\r\n0\r\n\r\n",
            413);
}

TEST_F(LimitsTest, ATooLargeBodyIsRefusedBeforeItIsAskedFor) {
    options.limits.body_bytes = 1000;
    collect();
    serve();
    refused("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n", 413);
}

TEST_F(LimitsTest, TheRefusalIsReadableWhileThePeerStillSends) {
    options.limits.body_bytes = 1000;
    collect();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 100; ++i) {
        c.send_some(std::string(1000, 'a'));
        turn(std::chrono::milliseconds(0));
    }
    EXPECT_EQ(c.answer().status, 413);
    c.close();
    until([&] { return server->stats().connections_open == 0; });
}

TEST_F(LimitsTest, AStreamedBodyThatBecomesTooLargeIsToldToItsReader) {
    options.limits.body_bytes = 1000;
    handler.on_route = [](Exchange&) { return Routed{Kind::coroutine, BodyMode::stream}; };
    keep_started();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" +
           std::string(1001, 'a'));
    until([&] { return started.size() == 1; });
    Listener listener;
    listener.read(*started[0]);
    EXPECT_EQ(c.answer().status, 413);
    EXPECT_EQ(listener.breaks, 1);
    EXPECT_EQ(listener.broken, Broken::too_large);
    EXPECT_EQ(server->stats().refused, 1U);
}

TEST_F(LimitsTest, NoLimitOfTheBodyIsNone) {
    options.limits.body_bytes = 0;
    collect();
    serve();
    EXPECT_EQ(
        ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n" + std::string(10000, 'a')).status,
        200);
    EXPECT_EQ(
        ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n").status,
        200);
}

}  // namespace
}  // namespace asioserve::test
