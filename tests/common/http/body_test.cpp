// Request bodies: collected, streamed with back-pressure, or dropped; "100 Continue".
#include "tests/common/http/harness.hpp"

namespace asioserve::test {
namespace {

class Body : public Harness {
  protected:
    void body_mode(BodyMode mode) {
        handler.on_route = [mode](Exchange&) { return Routed{Kind::coroutine, mode}; };
    }
    void echo() {
        body_mode(BodyMode::collect);
        handler.on_start = [](Exchange& x, AnswerSink answer) {
            answer({.status = 200, .content_type = {}, .body = x.body()});
        };
    }
    static std::string with_length(const std::string& body, const std::string& fields = "") {
        return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "Content-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body;
    }
    static std::string chunked(const std::string& body, std::size_t piece) {
        std::string bytes = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (std::size_t at = 0; at < body.size(); at += piece) {
            const std::string part = body.substr(at, piece);
            char size[20];
            std::snprintf(size, sizeof size, "%zx\r\n", part.size());
            bytes += size + part + "\r\n";
        }
        return bytes + "0\r\n\r\n";
    }
    static std::string pattern(std::size_t n) {
        std::string s(n, ' ');
        for (std::size_t i = 0; i < n; ++i) s[i] = static_cast<char>('a' + i * 7 % 26);
        return s;
    }
};

TEST_F(Body, IsCollectedWhateverItsSizeAndFraming) {
    echo();
    serve();
    Client c = connect();
    for (const std::size_t n : {1U, 100U, 7000U, 8100U, 9000U, 70000U, 1000000U}) {
        SCOPED_TRACE(n);
        const std::string body = pattern(n);
        c.send(with_length(body));
        EXPECT_TRUE(c.answer().body == body);
        c.send(chunked(body, 1 + n / 10));
        EXPECT_TRUE(c.answer().body == body);
    }
}

TEST_F(Body, IsCollectedHoweverItIsSplit) {
    echo();
    serve();
    for (const std::string& bytes : {with_length("hello"), chunked("hello world", 4)}) {
        for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
            Client c = connect();
            c.send(std::string_view(bytes).substr(0, cut));
            turn(std::chrono::milliseconds(0));
            c.send(std::string_view(bytes).substr(cut));
            EXPECT_TRUE(c.answer().body.starts_with("hello"));
        }
    }
}

TEST_F(Body, OutlivesTheConnection) {
    body_mode(BodyMode::collect);
    keep_started();
    serve();
    Client c = connect();
    const std::string body = pattern(100000);
    c.send(with_length(body));
    until([&] { return started.size() == 1; });
    c.reset();
    until([&] { return started[0]->peer_left(); });
    EXPECT_TRUE(started[0]->body() == body);
    EXPECT_EQ(started[0]->head().content_length, 100000);
}

TEST_F(Body, EmptyOnesStartAtOnce) {
    echo();
    serve();
    EXPECT_EQ(ask(with_length("")).body, "");
    EXPECT_EQ(ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").body, "");
    EXPECT_EQ(ask(get_hello).body, "");
}

TEST_F(Body, IsAskedForWithContinueWhenCollected) {
    echo();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(c.available(), "HTTP/1.1 100 Continue\r\n\r\n");
    c.send("ok");
    EXPECT_EQ(c.answer().body, "ok");
}

TEST_F(Body, IsAskedForWithContinueOnlyWhenTheHandlerReads) {
    body_mode(BodyMode::stream);
    keep_started();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    until([&] { return started.size() == 1; });
    EXPECT_EQ(c.available(), "");
    Listener listener;
    listener.listen(*started[0]);
    started[0]->read_body();
    EXPECT_EQ(c.available(), "HTTP/1.1 100 Continue\r\n\r\n");
    c.send("ok");
    until([&] { return listener.over; });
    EXPECT_EQ(listener.body, "ok");
    started[0]->answer({.status = 200, .content_type = {}, .body = {}});
    EXPECT_FALSE(c.answer().close);
}

TEST_F(Body, IsNotAskedForByARefusal) {
    body_mode(BodyMode::stream);
    handler.on_start = [](Exchange&, AnswerSink answer) {
        answer({.status = 403, .content_type = {}, .body = {}});
    };
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    const Answer a = c.answer();
    EXPECT_EQ(a.status, 403);
    EXPECT_TRUE(a.close);  // whether the body comes after all cannot be known
    EXPECT_TRUE(c.closed());
}

TEST_F(Body, StreamsInOrderAndEnds) {
    body_mode(BodyMode::stream);
    Listener listener;
    handler.on_start = [&](Exchange& x, AnswerSink) {
        started.emplace_back(x);
        listener.listen(x);
        listener.exchange = &x;
        x.read_body();
    };
    serve();
    Client c = connect();
    const std::string body = pattern(500000);
    for (const std::string& bytes :
         {with_length(body), chunked(body, 1000), with_length(""), chunked("", 1)}) {
        listener.body.clear();
        listener.over = false;
        started.clear();
        c.send(bytes);
        until([&] { return listener.over; });
        EXPECT_TRUE(listener.body == (bytes.size() > 1000 ? body : ""));
        started[0]->answer({.status = 200, .content_type = {}, .body = "got it"});
        EXPECT_EQ(c.answer().body, "got it");
    }
}

TEST_F(Body, StopsReadingWhileTheHandlerIsSlow) {
    body_mode(BodyMode::stream);
    keep_started();
    serve();
    Client c = connect();
    const std::string body = pattern(64 * 1024 * 1024);
    c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    until([&] { return started.size() == 1; });
    // The kernel's buffers fill up, and then nothing moves however long the loop turns.
    std::size_t sent = 0;
    for (int quiet = 0; quiet < 50;) {
        const std::size_t n = c.send_some(std::string_view(body).substr(sent));
        sent += n;
        quiet = n == 0 ? quiet + 1 : 0;
        turn(std::chrono::milliseconds(5));
    }
    ASSERT_LT(sent, body.size());
    Listener listener;
    listener.listen(*started[0]);
    started[0]->read_body();
    until([&] { return listener.chunks == 1; });
    idle();
    EXPECT_EQ(listener.chunks, 1);  // one chunk for one call
    EXPECT_LE(listener.body.size(), 64U * 1024U);
    listener.exchange = started[0].get();
    started[0]->read_body();
    c.send(std::string_view(body).substr(sent));
    until([&] { return listener.over; });
    EXPECT_TRUE(listener.body == body);
}

TEST_F(Body, IsDroppedWhenNobodyWantsIt) {
    body_mode(BodyMode::ignore);
    answer_targets();
    serve();
    Client c = connect();
    for (int i = 0; i < 3; ++i) {
        c.send(with_length(pattern(100000)));
        EXPECT_EQ(c.answer().body, "POST /");
        c.send(chunked(pattern(100000), 5000));
        EXPECT_EQ(c.answer().body, "POST /");
    }
}

TEST_F(Body, IsNotReadToItsEndWhenItIsTooLargeToDrop) {
    body_mode(BodyMode::ignore);
    answer_targets();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n" + pattern(1000));
    const Answer a = c.answer();
    EXPECT_TRUE(a.close);
    EXPECT_TRUE(c.closed());
}

TEST_F(Body, OfUnknownLengthIsDroppedOnlyToABound) {
    body_mode(BodyMode::ignore);
    answer_targets();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(c.answer().status, 200);
    const std::string chunk = "1000\r\n" + pattern(4096) + "\r\n";
    for (int i = 0; i < 2000 && server->stats().connections_open != 0; ++i) {
        c.send_some(chunk);
        turn(std::chrono::milliseconds(0));
    }
    until([&] { return server->stats().connections_open == 0; });
}

TEST_F(Body, LeftUnreadByAHandlerDoesNotReachTheNextRequest) {
    body_mode(BodyMode::stream);
    answer_targets();
    serve();
    Client c = connect();
    const std::string inner = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    c.send(with_length(inner) + std::string(get_hello));
    EXPECT_EQ(c.answer().body, "POST /");
    EXPECT_EQ(c.answer().body, "GET /hello");
}

TEST_F(Body, ThatIsBrokenIsToldToItsReader) {
    body_mode(BodyMode::stream);
    keep_started();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nbroken");
    until([&] { return started.size() == 1; });
    Listener listener;
    listener.read(*started[0]);
    EXPECT_EQ(c.answer().status, 400);
    EXPECT_TRUE(c.closed());
    EXPECT_EQ(listener.body, "ab");
    EXPECT_EQ(listener.breaks, 1);
    EXPECT_EQ(listener.broken, Broken::malformed);
    started[0]->answer({.status = 200, .content_type = {}, .body = "too late"});
}

TEST_F(Body, ThatIsBrokenCutsAnAnswerThatHasBegun) {
    body_mode(BodyMode::stream);
    keep_started();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nbroken");
    until([&] { return started.size() == 1; });
    Listener listener;
    listener.listen(*started[0]);
    started[0]->begin({});
    started[0]->write("so far");
    started[0]->read_body();
    const std::string all = c.rest();
    EXPECT_TRUE(all.ends_with("6\r\nso far\r\n")) << all;
    EXPECT_EQ(listener.breaks, 1);
}

TEST_F(Body, CutShortByThePeerIsToldToItsReader) {
    body_mode(BodyMode::stream);
    keep_started();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    until([&] { return started.size() == 1; });
    Listener listener;
    listener.read(*started[0]);
    until([&] { return listener.chunks == 1; });
    c.shut_write();
    until([&] { return listener.breaks == 1; });
    EXPECT_EQ(listener.body, "abc");
    EXPECT_FALSE(listener.over);
    EXPECT_TRUE(started[0]->peer_left());
    EXPECT_TRUE(c.closed());
}

TEST_F(Body, CutShortByThePeerNeverStartsAHandlerThatWantsItWhole) {
    body_mode(BodyMode::collect);
    keep_started();
    serve();
    Client c = connect();
    c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    c.shut_write();
    EXPECT_TRUE(c.closed());
    EXPECT_TRUE(started.empty());
}

TEST_F(Body, OfARequestBehindOthersIsReadInItsTurn) {
    body_mode(BodyMode::stream);
    keep_started();
    serve();
    Client c = connect();
    c.send(std::string(get_hello) + with_length("first") + with_length("second"));
    until([&] { return started.size() == 1; });
    started[0]->answer({.status = 200, .content_type = {}, .body = "0"});
    EXPECT_EQ(c.answer().body, "0");
    for (std::size_t i : {1U, 2U}) {
        until([&] { return started.size() == i + 1; });
        Listener listener;
        listener.exchange = started[i].get();
        listener.listen(*started[i]);
        started[i]->read_body();
        until([&] { return listener.over; });
        EXPECT_EQ(listener.body, i == 1 ? "first" : "second");
        started[i]->listener(nullptr);
        started[i]->answer({.status = 200, .content_type = {}, .body = listener.body});
        EXPECT_EQ(c.answer().body, listener.body);
    }
}

}  // namespace
}  // namespace asioserve::test
