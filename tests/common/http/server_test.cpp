// Requests and whole answers: framing, keep-alive, HTTP/1.0, HEAD, the fields that the connection adds.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>

#include "common/http/listen.hpp"
#include "tests/common/http/harness.hpp"

namespace asioserve::test {
namespace {

class ServerTest : public Harness {
  protected:
    /// Answers everything with this status, these fields and this body.
    void answer_with(int status, std::vector<Header> fields, std::string body,
                     std::string type = "text/plain") {
        handler.on_start = [=](Exchange&, AnswerSink answer) {
            answer({.status = status, .content_type = type, .body = body, .headers = fields});
        };
    }
    /// How often the server sends to answer four requests that come together.
    std::uint64_t sends_for_four_at_once() {
        answer_targets();
        serve();
        Client c = connect();
        std::string four;
        for (int i = 0; i < 4; ++i) four += get_hello;
        c.send(four);
        for (int i = 0; i < 4; ++i) EXPECT_EQ(c.answer().body, "GET /hello");
        return server->stats().sends;
    }
};

TEST_F(ServerTest, GivesTheBytesOfTheBench) {
    options.date_header = false;
    handler.on_start = [](Exchange&, AnswerSink answer) {
        answer({.status = 200, .content_type = "application/json", .body = R"({"hello":"world"})"});
    };
    serve();
    Client c = connect();
    c.send(get_hello);
    EXPECT_EQ(
        c.available(),
        "HTTP/1.1 200 OK\r\nserver: asioserve\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n"
        R"({"hello":"world"})");
}

TEST_F(ServerTest, AddsDateServerAndItsOwnFields) {
    options.headers = {{"X-Frame-Options", "DENY"}, {"x-two", "2"}};
    answer_targets();
    serve();
    const Answer a = ask(get_hello);
    EXPECT_EQ(a.field("date").size(), 29U);
    EXPECT_EQ(a.field("server"), "asioserve");
    EXPECT_EQ(a.field("X-Frame-Options"), "DENY");
    EXPECT_EQ(a.field("x-two"), "2");
    EXPECT_EQ(a.body, "GET /hello");
}

TEST_F(ServerTest, LeavesOutWhatIsSwitchedOff) {
    options.date_header = options.server_header = false;
    answer_targets();
    serve();
    const Answer a = ask(get_hello);
    EXPECT_FALSE(a.has("date"));
    EXPECT_FALSE(a.has("server"));
}

TEST_F(ServerTest, LetsTheAppReplaceDateAndServerButNotTheFraming) {
    answer_with(200,
                {{"Date", "then"}, {"Server", "mine"}, {"Content-Length", "99"}, {"Transfer-Encoding", "x"}},
                "ab");
    serve();
    const Answer a = ask(get_hello);
    EXPECT_EQ(a.field("Date"), "then");
    EXPECT_EQ(a.field("Server"), "mine");
    EXPECT_FALSE(a.has("date"));
    EXPECT_FALSE(a.has("server"));
    EXPECT_FALSE(a.has("Content-Length"));
    EXPECT_FALSE(a.has("Transfer-Encoding"));
    EXPECT_EQ(a.field("content-length"), "2");
    EXPECT_EQ(a.body, "ab");
}

TEST_F(ServerTest, KeepsTheConnection) {
    answer_targets();
    serve();
    Client c = connect();
    for (int i = 0; i < 100; ++i) {
        c.send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n");
        const Answer a = c.answer();
        EXPECT_EQ(a.body, "GET /" + std::to_string(i));
        EXPECT_FALSE(a.close);
    }
    EXPECT_EQ(server->stats().connections_accepted, 1U);
    EXPECT_EQ(server->stats().exchanges_started, 100U);
    EXPECT_EQ(server->stats().exchanges_active, 0U);
    EXPECT_EQ(server->stats().answers_by_class[2], 100U);
}

TEST_F(ServerTest, ClosesWhenAskedTo) {
    answer_targets();
    serve();
    Client c = connect();
    c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + std::string(get_hello));
    EXPECT_TRUE(c.answer().close);
    EXPECT_TRUE(c.closed());
    EXPECT_EQ(server->stats().exchanges_started, 1U);
}

TEST_F(ServerTest, ClosesWhenTheAppWantsTo) {
    answer_with(200, {{"Connection", "close"}}, "x");
    serve();
    Client c = connect();
    c.send(get_hello);
    EXPECT_TRUE(c.answer().close);
    EXPECT_TRUE(c.closed());
}

TEST_F(ServerTest, ClosesAfterEachAnswerWithoutKeepAlive) {
    options.limits.keep_alive = std::chrono::milliseconds(0);
    answer_targets();
    serve();
    Client c = connect();
    c.send(get_hello);
    EXPECT_TRUE(c.answer().close);
    EXPECT_TRUE(c.closed());
}

TEST_F(ServerTest, SpeaksHttp10) {
    answer_targets();
    serve();
    Client once = connect();
    once.send("GET / HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(once.answer().close);
    EXPECT_TRUE(once.closed());
    Client kept = connect();
    for (int i = 0; i < 2; ++i) {
        kept.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        const Answer a = kept.answer();
        EXPECT_EQ(a.field("connection"), "keep-alive");
        EXPECT_EQ(a.body, "GET /");
    }
}

TEST_F(ServerTest, AnswersHeadWithTheLengthAndNoBody) {
    answer_targets();
    serve();
    Client c = connect();
    for (int i = 0; i < 2; ++i) {
        c.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
        const Answer a = c.answer(true);
        EXPECT_EQ(a.field("content-length"), "7");
    }
    EXPECT_EQ(c.available(), "");
}

TEST_F(ServerTest, PassesOnTheLengthThatAnAppTellsToHead) {
    answer_with(200, {{"content-length", "12345"}}, "");
    serve();
    EXPECT_EQ(ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", true).field("content-length"), "12345");
    EXPECT_EQ(ask(get_hello).field("content-length"), "0");
}

TEST_F(ServerTest, GivesNoBodyTo204And304) {
    answer_with(204, {}, "surplus", "");
    serve();
    Client c = connect();
    c.send(get_hello);
    const Answer no_content = c.answer();
    EXPECT_EQ(no_content.status, 204);
    EXPECT_FALSE(no_content.has("content-length"));
    answer_with(304, {{"etag", "x"}}, "surplus", "");
    c.send(get_hello);
    const Answer not_modified = c.answer();
    EXPECT_EQ(not_modified.status, 304);
    EXPECT_FALSE(not_modified.has("content-length"));
    EXPECT_EQ(not_modified.field("etag"), "x");
    EXPECT_EQ(c.available(), "");
}

TEST_F(ServerTest, AnswersOptionsOfTheServerItself) {
    answer_targets();
    serve();
    const Answer a = ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(a.status, 200);
    EXPECT_EQ(a.body, "");
}

TEST_F(ServerTest, FailsWith500) {
    handler.on_start = [](Exchange& x, AnswerSink) { x.fail(); };
    serve();
    Client c = connect();
    c.send(get_hello);
    const Answer a = c.answer();
    EXPECT_EQ(a.status, 500);
    EXPECT_EQ(a.body, "Internal Server Error");
    EXPECT_FALSE(a.close);
}

TEST_F(ServerTest, TakesOneAnswerOnly) {
    handler.on_start = [](Exchange& x, AnswerSink answer) {
        answer({.status = 200, .content_type = {}, .body = "one"});
        x.answer({.status = 200, .content_type = {}, .body = "two"});
        x.fail();
        x.begin({});
    };
    serve();
    Client c = connect();
    c.send(get_hello);
    EXPECT_EQ(c.answer().body, "one");
    EXPECT_EQ(c.available(), "");
}

TEST_F(ServerTest, AnswersLater) {
    keep_started();
    serve();
    Client c = connect();
    c.send(get_hello);
    until([&] { return started.size() == 1; });
    EXPECT_EQ(c.available(), "");
    started[0]->answer({.status = 200, .content_type = {}, .body = "later"});
    EXPECT_EQ(c.answer().body, "later");
    EXPECT_EQ(started[0]->head().target, "/hello");  // still readable
}

TEST_F(ServerTest, AnswersInsideRoute) {
    handler.on_route = [](Exchange& x) {
        x.answer({.status = 404, .content_type = {}, .body = "nothing here"});
        return Routed{Kind::answered, BodyMode::ignore};
    };
    serve();
    Client c = connect();
    c.send(std::string(get_hello) + "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" +
           std::string(get_hello));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(c.answer().status, 404);
}

TEST_F(ServerTest, SendsLargeBodiesWhole) {
    std::string large(8 * 1024 * 1024, 'x');
    for (std::size_t i = 0; i < large.size(); i += 1000) large[i] = static_cast<char>('a' + i / 1000 % 26);
    answer_with(200, {}, large);
    serve();
    Client c = connect();
    for (int i = 0; i < 2; ++i) {
        c.send(get_hello);
        EXPECT_TRUE(c.answer().body == large);
    }
}

TEST_F(ServerTest, SendsEachAnswerAtOnceWhenNotDeferred) {
    options.deferred_sends = false;
    EXPECT_EQ(sends_for_four_at_once(), 4U);
}

TEST_F(ServerTest, SendsTheAnswersOfATurnTogether) {
    EXPECT_EQ(sends_for_four_at_once(), 1U);
}

TEST_F(ServerTest, KnowsBothEnds) {
    keep_started();
    serve();
    Client c = connect();
    c.send(get_hello);
    until([&] { return started.size() == 1; });
    EXPECT_EQ(started[0]->endpoints().local, "127.0.0.1:" + std::to_string(port));
    EXPECT_TRUE(started[0]->endpoints().peer.starts_with("127.0.0.1:"));
}

TEST_F(ServerTest, TellsTheAccessLog) {
    options.access_log = true;
    std::vector<std::string> lines;
    access_log = [&](const http::AccessRecord& r) {
        lines.push_back(std::string(r.head->method) + " " + std::string(r.head->target) + " " +
                        std::to_string(r.status) + " " + std::to_string(r.body_bytes));
        EXPECT_GE(r.duration.count(), 0);
        EXPECT_TRUE(r.endpoints.peer.starts_with("127.0.0.1:"));
    };
    answer_targets();
    serve();
    ask(get_hello);
    ask("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");  // no whole head: no line
    EXPECT_EQ(lines, std::vector<std::string>{"GET /hello 200 10"});
}

TEST_F(ServerTest, ServesAUnixSocket) {
    answer_targets();
    serve();
    char folder[] = "/tmp/asioserve_test_XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    const std::string path = std::string(folder) + "/socket";
    http::Server unix_server(io, options, handler, runner);
    unix_server.listen(http::open_unix(path, 16));
    unix_server.start();
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
    ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    Client c(*this, fd);
    std::string seen_peer;
    handler.on_start = [&](Exchange& x, AnswerSink answer) {
        seen_peer = x.endpoints().peer;
        answer({.status = 200, .content_type = {}, .body = x.endpoints().local});
    };
    c.send(get_hello);
    std::string got;
    until([&] {
        unix_server.end_turn();
        char buffer[1000];
        const ssize_t n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) got.append(buffer, static_cast<std::size_t>(n));
        return got.find(path) != std::string::npos;
    });
    EXPECT_TRUE(got.ends_with("unix:" + path)) << got;
    EXPECT_EQ(seen_peer, "unix:");
    http::remove_unix(path);
    ::rmdir(folder);
}

TEST_F(ServerTest, LimitsConnectionsAndLetsOthersWait) {
    options.limits.connections = 2;
    answer_targets();
    serve();
    Client one = connect();
    Client two = connect();
    Client three = connect();
    three.send(get_hello);
    one.send(get_hello);
    one.answer();
    EXPECT_EQ(three.available(), "");
    EXPECT_EQ(server->stats().connections_open, 2U);
    one.close();
    EXPECT_EQ(three.answer().body, "GET /hello");
}

TEST_F(ServerTest, HoldsNoBufferWhileNothingComes) {
    keep_started();
    serve();
    std::vector<Client> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(connect());
    until([&] { return server->stats().connections_open == 20; });
    idle();
    EXPECT_EQ(server->stats().buffers_held, 0U);
    for (Client& c : clients) c.send(get_hello);
    until([&] { return started.size() == 20; });
    EXPECT_EQ(server->stats().buffers_held, 0U);  // the exchanges keep what is theirs
    for (const ExchangePtr& x : started)
        x->answer({.status = 200, .content_type = {}, .body = x->head().target});
    for (Client& c : clients) EXPECT_EQ(c.answer().body, "/hello");
    idle();
    EXPECT_EQ(server->stats().buffers_held, 0U);
    clients[0].send("GET / HT");
    until([&] { return server->stats().buffers_held == 1; });
    clients[0].close();
    until([&] { return server->stats().connections_open == 19; });
    EXPECT_EQ(server->stats().buffers_held, 0U);
}

TEST_F(ServerTest, OutlivesAServerThatGoesFirst) {
    keep_started();
    serve();
    Client c = connect();
    c.send(get_hello);
    until([&] { return started.size() == 1; });
    server.reset();
    EXPECT_TRUE(started[0]->peer_left());
    EXPECT_EQ(started[0]->head().target, "/hello");
    started[0]->answer({.status = 200, .content_type = {}, .body = "to nobody"});
    started.clear();
    EXPECT_TRUE(c.closed());
}

}  // namespace
}  // namespace asioserve::test
