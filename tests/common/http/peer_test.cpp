// Peers that close one side, leave, or reset, whatever the server is doing just then.
#include <sys/socket.h>

#include "tests/common/http/harness.hpp"

namespace asioserve::test {
namespace {

class Peer : public Harness {};

TEST_F(Peer, WithAClosedSideStillGetsItsAnswers) {
    keep_started();
    serve();
    Client c = connect();
    c.send(std::string(get_hello) + std::string(get_hello));
    c.shut_write();
    until([&] { return started.size() == 2; });
    idle(150);  // until the end of its input has been seen
    EXPECT_FALSE(started[0]->peer_left());
    started[0]->answer({.status = 200, .content_type = {}, .body = "one"});
    idle(5);
    started[1]->begin({});
    started[1]->write("tw");
    idle(5);
    started[1]->write("o");
    started[1]->finish();
    EXPECT_EQ(c.answer().body, "one");
    EXPECT_EQ(c.answer().body, "two");
    EXPECT_TRUE(c.closed());
    EXPECT_FALSE(c.was_reset());
}

TEST_F(Peer, WithAClosedSideGetsAnswersToRequestsThatWereHeld) {
    keep_started();
    serve();
    Client c = connect();
    c.send("POST /0 HTTP/1.1\r\nHost: a\r\n\r\nPOST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
    c.shut_write();
    for (std::size_t i = 0; i < 2; ++i) {
        until([&] { return started.size() == i + 1; });
        idle(150);
        started[i]->answer({.status = 200, .content_type = {}, .body = started[i]->head().target});
        EXPECT_EQ(c.answer().body, "/" + std::to_string(i));
    }
    EXPECT_TRUE(c.closed());
}

TEST_F(Peer, ThatClosesIsNoticedWhileAHandlerRuns) {
    keep_started();
    serve();
    Client c = connect();
    c.send(get_hello);
    until([&] { return started.size() == 1; });
    Listener listener;
    listener.listen(*started[0]);
    c.close();
    until([&] { return listener.peer_ended; });
    EXPECT_TRUE(started[0]->peer_ended());
    EXPECT_EQ(listener.breaks, 0);
    started[0]->answer({.status = 200, .content_type = {}, .body = "to nobody"});
    until([&] { return server->stats().connections_open == 0; });
}

TEST_F(Peer, ThatClosesAtOnceIsNoticedToo) {
    keep_started();
    serve();
    Listener listener;
    {
        Client c = connect();
        c.send(get_hello);
        c.close();
    }
    until([&] { return started.size() == 1; });
    listener.listen(*started[0]);
    until([&] { return listener.peer_ended; });
}

TEST_F(Peer, ThatResetsIsToldOnce) {
    keep_started();
    serve();
    Client c = connect();
    c.send(std::string(get_hello) + std::string(get_hello));
    until([&] { return started.size() == 2; });
    Listener one;
    Listener two;
    one.listen(*started[0]);
    two.listen(*started[1]);
    c.reset();
    until([&] { return two.breaks == 1; });
    EXPECT_EQ(one.breaks, 1);
    EXPECT_EQ(one.broken, Broken::peer_left);
    EXPECT_TRUE(started[0]->peer_left());
    EXPECT_EQ(server->stats().connections_open, 0U);
    EXPECT_EQ(server->stats().exchanges_active, 0U);
    started[1]->answer({.status = 200, .content_type = {}, .body = "x"});
    started[0]->answer({.status = 200, .content_type = {}, .body = "x"});
}

TEST_F(Peer, ThatResetsAfterClosingItsSideIsNoticed) {
    keep_started();
    serve();
    Client c = connect();
    c.send(get_hello);
    c.shut_write();
    until([&] { return started.size() == 1; });
    Listener listener;
    listener.listen(*started[0]);
    until([&] { return listener.peer_ended; });
    EXPECT_EQ(listener.breaks, 0);
    c.reset();
    until([&] { return listener.breaks == 1; });
    EXPECT_EQ(listener.broken, Broken::peer_left);
}

TEST_F(Peer, MayLeaveInTheMiddleOfAnything) {
    handler.on_route = [](Exchange& x) {
        return Routed{Kind::plain, x.head().path == "/stream" ? BodyMode::stream : BodyMode::collect};
    };
    handler.on_start = [](Exchange& x, AnswerSink answer) {
        if (x.head().path == "/stream") x.read_body();
        answer({.status = 200, .content_type = {}, .body = std::string(100'000, 'x')});
    };
    serve();
    const std::string request =
        "POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (std::size_t n = 0; n <= request.size(); ++n) {
        for (const bool reset : {false, true}) {
            Client c = connect();
            c.send(std::string_view(request).substr(0, n));
            if (n % 3 == 0) turn(std::chrono::milliseconds(0));
            if (reset)
                c.reset();
            else
                c.close();
            turn(std::chrono::milliseconds(0));  // or the backlog is full
        }
    }
    until([&] { return server->stats().connections_open == 0; });
    EXPECT_EQ(server->stats().exchanges_active, 0U);
}

TEST_F(Peer, ThatLeavesMayMeetAListenerThatActs) {
    // Whoever is told may answer others, give up, or let go of everything at once.
    keep_started();
    serve();
    Client c = connect();
    c.send(std::string(get_hello) + std::string(get_hello) + std::string(get_hello));
    until([&] { return started.size() == 3; });
    struct Acting final : ExchangeListener {
        void on_body(std::string_view, bool) override {}
        void on_send_credit() override {}
        void on_broken(Broken) override { act(); }
        void on_peer_ended() override { act(); }
        std::function<void()> act;
    } acting;
    acting.act = [&] {
        for (const ExchangePtr& x : started) x->answer({.status = 200, .content_type = {}, .body = "x"});
        started.clear();
    };
    started[0]->listener(&acting);
    started[1]->listener(&acting);
    c.close();
    until([&] { return server->stats().connections_open == 0; });
    EXPECT_TRUE(started.empty());
}

TEST_F(Peer, ThatOnlyConnectsAndClosesLeavesNothing) {
    serve();
    for (int i = 0; i < 20; ++i) connect().close();
    until(
        [&] { return server->stats().connections_accepted == 20 && server->stats().connections_open == 0; });
}

TEST_F(Peer, ThatSendsUrgentDataIsServed) {
    answer_targets();
    serve();
    Client c = connect();
    c.send(get_hello);
    EXPECT_EQ(c.answer().body, "GET /hello");
    ::send(c.fd(), "!", 1, MSG_OOB);
    idle();
    c.send(get_hello);
    EXPECT_EQ(c.answer().body, "GET /hello");
}

}  // namespace
}  // namespace asioserve::test
