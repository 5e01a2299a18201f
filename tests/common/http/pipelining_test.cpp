// Several requests at once on one connection: answers in order, and nothing that depends on the order starts
// early.
#include "tests/common/http/harness.hpp"

namespace asioserve::test {
namespace {

class Pipelining : public Harness {
  protected:
    static std::string request(const std::string& method, int i, const std::string& body = "") {
        return method + " /" + std::to_string(i) +
               " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    void answer(std::size_t i) {
        started[i]->answer({.status = 200, .content_type = {}, .body = started[i]->head().target});
    }
};

TEST_F(Pipelining, StartsSafeRequestsTogetherAndAnswersInOrder) {
    keep_started();
    serve();
    Client c = connect();
    for (int i = 0; i < 5; ++i) c.send(request("GET", i));
    until([&] { return started.size() == 5; });
    for (const std::size_t i : {4U, 2U, 3U, 1U}) answer(i);
    EXPECT_EQ(c.available(), "");
    answer(0);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(c.answer().body, "/" + std::to_string(i));
}

TEST_F(Pipelining, HoldsAnUnsafeRequestUntilThoseInFrontAreAnswered) {
    keep_started();
    serve();
    Client c = connect();
    c.send(request("GET", 0) + request("POST", 1) + request("GET", 2));
    until([&] { return started.size() == 1; });
    idle();
    EXPECT_EQ(started.size(), 1U);
    answer(0);
    until([&] { return started.size() == 2; });
    idle();
    EXPECT_EQ(started.size(), 2U);
    answer(1);
    until([&] { return started.size() == 3; });
    answer(2);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(c.answer().body, "/" + std::to_string(i));
}

TEST_F(Pipelining, KeepsTheHeadOfAHeldRequestThoughOthersReadMeanwhile) {
    keep_started();
    serve();
    Client held = connect();
    Client other = connect();
    other.send(request("GET", 0));
    until([&] { return started.size() == 1; });
    answer(0);
    EXPECT_EQ(other.answer().body, "/0");
    held.send(request("POST", 1) + request("GET", 2));
    until([&] { return started.size() == 2; });
    idle();  // nothing is left to parse: the connection has no buffer now
    // Read in the very turn in which the first answer lets go of its bytes, and the held request starts.
    other.send(request("GET", 1234567));
    answer(1);
    started[1] = {};
    until([&] { return started.size() == 4; });
    const bool in_order = started[2]->head().target == "/1234567";
    EXPECT_EQ(started[in_order ? 2 : 3]->head().target, "/1234567");
    EXPECT_EQ(started[in_order ? 3 : 2]->head().target, "/2");
    answer(2);
    answer(3);
    EXPECT_EQ(other.answer().body, "/1234567");
    for (int i = 1; i < 3; ++i) EXPECT_EQ(held.answer().body, "/" + std::to_string(i));
}

TEST_F(Pipelining, HoldsEverythingBehindAnUnsafeRequestWithABody) {
    handler.on_route = [](Exchange&) { return Routed{Kind::coroutine, BodyMode::collect}; };
    keep_started();
    serve();
    Client c = connect();
    c.send(request("PUT", 0, "abc") + request("DELETE", 1) + request("POST", 2, "xyz"));
    for (std::size_t i = 0; i < 3; ++i) {
        until([&] { return started.size() == i + 1; });
        idle(5);
        EXPECT_EQ(started.size(), i + 1);
        answer(i);
        EXPECT_EQ(c.answer().body, "/" + std::to_string(i));
    }
    EXPECT_EQ(started[0]->body(), "abc");
    EXPECT_EQ(started[2]->body(), "xyz");
}

TEST_F(Pipelining, RunsNoMoreThanTheLimitAtOnce) {
    options.limits.pipelined = 3;
    keep_started();
    serve();
    Client c = connect();
    std::string all;
    for (int i = 0; i < 10; ++i) all += request("GET", i);
    c.send(all);
    until([&] { return started.size() == 3; });
    idle();
    EXPECT_EQ(started.size(), 3U);
    for (std::size_t i = 0; i < 10; ++i) {
        until([&] { return started.size() > i; });
        EXPECT_LE(started.size(), i + 3);
        answer(i);
        EXPECT_EQ(c.answer().body, "/" + std::to_string(i));
    }
}

TEST_F(Pipelining, AnswersThousandsInsideStartWithoutRecursion) {
    answer_targets();
    serve();
    Client c = connect();
    std::string all;
    for (int i = 0; i < 20000; ++i) all += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    c.send(all);
    for (int i = 0; i < 20000; ++i) ASSERT_EQ(c.answer().body, "GET /");
}

TEST_F(Pipelining, AnswersARefusalBehindThoseInFront) {
    keep_started();
    serve();
    Client c = connect();
    c.send(request("GET", 0) + "broken\r\n\r\n");
    until([&] { return started.size() == 1; });
    EXPECT_EQ(c.available(), "");
    answer(0);
    EXPECT_EQ(c.answer().body, "/0");
    EXPECT_EQ(c.answer().status, 501);
    EXPECT_TRUE(c.closed());
}

TEST_F(Pipelining, StopsAtConnectionClose) {
    keep_started();
    serve();
    Client c = connect();
    c.send(request("GET", 0) + "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + request("GET", 2));
    until([&] { return started.size() == 2; });
    idle();
    EXPECT_EQ(started.size(), 2U);
    answer(1);
    answer(0);
    EXPECT_EQ(c.answer().body, "/0");
    EXPECT_TRUE(c.answer().close);
    EXPECT_TRUE(c.closed());
}

TEST_F(Pipelining, TellsThoseBehindAnAnswerThatCloses) {
    keep_started();
    serve();
    Client c = connect();
    c.send(request("GET", 0) + request("GET", 1));
    until([&] { return started.size() == 2; });
    Listener behind;
    behind.listen(*started[1]);
    const Header close{"connection", "close"};
    started[0]->answer({.status = 200, .content_type = {}, .body = "bye", .headers = {&close, 1}});
    EXPECT_EQ(c.answer().body, "bye");
    EXPECT_TRUE(c.closed());
    EXPECT_EQ(behind.breaks, 1);
    EXPECT_TRUE(started[1]->peer_left());
    answer(1);
}

TEST_F(Pipelining, StreamsBehindAnotherAnswer) {
    keep_started();
    serve();
    Client c = connect();
    c.send(request("GET", 0) + request("GET", 1));
    until([&] { return started.size() == 2; });
    started[1]->begin({});
    started[1]->write("one");
    EXPECT_EQ(c.available(), "");
    answer(0);
    started[1]->write("two");
    started[1]->finish();
    EXPECT_EQ(c.answer().body, "/0");
    EXPECT_EQ(c.answer().body, "onetwo");
}

TEST_F(Pipelining, ReadsRequestsThatComeInAnyPieces) {
    answer_targets();
    serve();
    const std::string two = request("GET", 0) + request("POST", 1, "abc") + request("GET", 2);
    for (std::size_t cut = 1; cut < two.size(); ++cut) {
        Client c = connect();
        c.send(std::string_view(two).substr(0, cut));
        turn(std::chrono::milliseconds(0));
        c.send(std::string_view(two).substr(cut));
        EXPECT_EQ(c.answer().body, "GET /0");
        EXPECT_EQ(c.answer().body, "POST /1");
        EXPECT_EQ(c.answer().body, "GET /2");
    }
}

TEST_F(Pipelining, KeepsRequestsReadableWhileLaterOnesAreRead) {
    keep_started();
    serve();
    Client c = connect();
    // More than one buffer's worth, in pieces that straddle its end.
    const std::string filler(700, 'f');
    for (int i = 0; i < 30; ++i) {
        c.send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\nFiller: " + filler + std::to_string(i) +
               "\r\n\r\n");
        until([&] { return started.size() == static_cast<std::size_t>(i) + 1; });
    }
    for (int i = 0; i < 30; ++i) {
        const auto& x = started[static_cast<std::size_t>(i)];
        EXPECT_EQ(x->head().target, "/" + std::to_string(i));
        EXPECT_EQ(x->head().header("filler"), filler + std::to_string(i));
        answer(static_cast<std::size_t>(i));
    }
}

}  // namespace
}  // namespace asioserve::test
