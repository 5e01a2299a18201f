// Peers that take too long. Limits are small here, and nothing depends on how exactly they are kept: that is
// deadlines_test's, with a clock that it steps.
#include "tests/common/http/harness.hpp"

namespace asioserve::test {
namespace {

using std::chrono::milliseconds;

class Timeouts : public Harness {
  protected:
    Timeouts() {
        options.limits.header_time = options.limits.body_time = options.limits.keep_alive =
            std::chrono::hours(1);
        options.limits.write_time = std::chrono::hours(1);
    }
};

TEST_F(Timeouts, AHeadThatTricklesIsAnsweredWith408) {
    options.limits.header_time = milliseconds(200);
    serve();
    Client c = connect();
    c.send("GET / HTTP/1.1\r\nX: ");
    until([&] {
        c.send_some("a");
        return server->stats().timeouts == 1;  // a trickle does not renew it
    });
    const Answer a = c.answer();
    EXPECT_EQ(a.status, 408);
    EXPECT_TRUE(a.close);
}

TEST_F(Timeouts, AHeadOfALaterRequestCountsFromItsFirstByte) {
    options.limits.header_time = milliseconds(100);
    answer_targets();
    serve();
    Client c = connect();
    c.send(get_hello);
    EXPECT_EQ(c.answer().status, 200);
    idle(200);
    c.send("GET ");
    EXPECT_EQ(c.answer().status, 408);
}

TEST_F(Timeouts, AConnectionThatSaysNothingIsClosedSilently) {
    options.limits.header_time = milliseconds(100);
    serve();
    Client c = connect();
    EXPECT_TRUE(c.closed());
    EXPECT_FALSE(c.was_reset());
}

TEST_F(Timeouts, ABodyThatTricklesIsAnsweredWith408) {
    options.limits.body_time = milliseconds(200);
    handler.on_route = [](Exchange&) { return Routed{Kind::plain, BodyMode::collect}; };
    keep_started();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    until([&] {
        c.send_some("a");
        return server->stats().timeouts == 1;
    });
    EXPECT_EQ(c.answer().status, 408);
    EXPECT_TRUE(started.empty());
}

TEST_F(Timeouts, AStreamedBodyThatStallsIsToldToItsReader) {
    options.limits.body_time = milliseconds(200);
    handler.on_route = [](Exchange&) { return Routed{Kind::coroutine, BodyMode::stream}; };
    keep_started();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    until([&] { return started.size() == 1; });
    Listener listener;
    listener.read(*started[0]);
    EXPECT_EQ(c.answer().status, 408);
    EXPECT_EQ(listener.body, "abc");
    EXPECT_EQ(listener.breaks, 1);
    EXPECT_EQ(listener.broken, Broken::timed_out);
}

TEST_F(Timeouts, ASlowHandlerDoesNotUseUpTheTimeOfItsPeer) {
    options.limits.body_time = milliseconds(300);
    handler.on_route = [](Exchange&) { return Routed{Kind::coroutine, BodyMode::stream}; };
    keep_started();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabcde");
    until([&] { return started.size() == 1; });
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < milliseconds(600)) turn();
    Listener listener;
    listener.read(*started[0]);
    until([&] { return listener.chunks == 1; });
    c.send("fghij");
    until([&] { return listener.over; });
    EXPECT_EQ(listener.body, "abcdefghij");
    EXPECT_EQ(listener.breaks, 0);
}

TEST_F(Timeouts, AnIdleConnectionIsClosed) {
    options.limits.keep_alive = milliseconds(100);
    answer_targets();
    serve();
    Client c = connect();
    c.send(get_hello);
    EXPECT_EQ(c.answer().status, 200);
    EXPECT_TRUE(c.closed());
    EXPECT_FALSE(c.was_reset());
}

TEST_F(Timeouts, ARunningHandlerIsNotIdle) {
    options.limits.keep_alive = milliseconds(50);
    keep_started();
    serve();
    Client c = connect();
    c.send(get_hello);
    until([&] { return started.size() == 1; });
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < milliseconds(400)) turn();
    started[0]->answer({.status = 200, .content_type = {}, .body = "late"});
    EXPECT_EQ(c.answer().body, "late");
}

TEST_F(Timeouts, AReaderThatTakesNothingIsCut) {
    options.limits.write_time = milliseconds(200);
    keep_started();
    serve();
    Client c = connect(4096);
    c.send(get_hello);
    until([&] { return started.size() == 1; });
    Listener listener;
    listener.listen(*started[0]);
    started[0]->begin({});
    std::string more_than_the_kernel_holds;
    more_than_the_kernel_holds.resize(30'000'000, 'x');
    started[0]->write(more_than_the_kernel_holds);
    until([&] { return listener.breaks == 1; });
    EXPECT_EQ(listener.broken, Broken::timed_out);
    EXPECT_EQ(server->stats().connections_open, 0U);
}

TEST_F(Timeouts, WithoutConnectionsNothingWakesTheLoop) {
    answer_targets();
    serve();
    ask(get_hello);
    until([&] { return server->stats().connections_open == 0; });
    // What a timer had been set for passes once; then there is nothing to wait for but connections.
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < milliseconds(1500)) turn(milliseconds(100));
    EXPECT_EQ(io.run_one_for(milliseconds(1000)), 0U);
}

}  // namespace
}  // namespace asioserve::test
