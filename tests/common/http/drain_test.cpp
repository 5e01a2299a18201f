// Draining: what has begun is answered, what is idle gets a moment, what takes too long is cut.
#include <unistd.h>

#include "common/http/listen.hpp"
#include "tests/common/http/harness.hpp"

namespace asioserve::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Drain : public Harness {
  protected:
    void drain(milliseconds timeout) {
        server->drain(timeout, [this] { drained = true; });
    }
    bool drained = false;
};

TEST_F(Drain, IsDoneAtOnceWithoutConnections) {
    serve();
    drain(seconds(10));
    EXPECT_FALSE(drained);  // never from inside
    until([&] { return drained; });
}

TEST_F(Drain, AnswersWhatHasBegunAndCloses) {
    keep_started();
    serve();
    Client c = connect();
    c.send(get_hello);
    until([&] { return started.size() == 1; });
    drain(seconds(10));
    idle();
    EXPECT_FALSE(drained);
    started[0]->answer({.status = 200, .content_type = {}, .body = "done"});
    const Answer a = c.answer();
    EXPECT_EQ(a.body, "done");
    EXPECT_TRUE(a.close);
    EXPECT_TRUE(c.closed());
    until([&] { return drained; });
}

TEST_F(Drain, AnswersAllPipelinedRequestsAndClosesAfterTheLast) {
    keep_started();
    serve();
    Client c = connect();
    c.send(std::string(get_hello) + std::string(get_hello) + std::string(get_hello));
    until([&] { return started.size() == 3; });
    drain(seconds(10));
    for (const auto& x : started) x->answer({.status = 200, .content_type = {}, .body = "done"});
    EXPECT_FALSE(c.answer().close);
    EXPECT_FALSE(c.answer().close);
    EXPECT_TRUE(c.answer().close);
    EXPECT_TRUE(c.closed());
    until([&] { return drained; });
}

TEST_F(Drain, AnswersARequestThatWasOnItsWay) {
    answer_targets();
    serve();
    Client used = connect();
    Client fresh = connect();
    used.send(get_hello);
    EXPECT_FALSE(used.answer().close);
    drain(seconds(10));
    idle(5);
    for (Client* c : {&used, &fresh}) {
        c->send(get_hello);
        EXPECT_TRUE(c->answer().close);
        EXPECT_TRUE(c->closed());
    }
    until([&] { return drained; });
}

TEST_F(Drain, ClosesIdleConnectionsAfterAMoment) {
    answer_targets();
    serve();
    Client c = connect();
    Client fresh = connect();
    c.send(get_hello);
    c.answer();
    drain(seconds(30));
    until([&] { return drained; });
    EXPECT_TRUE(c.closed());
    EXPECT_TRUE(fresh.closed());
    EXPECT_FALSE(c.was_reset());
}

TEST_F(Drain, CutsWhatTakesTooLong) {
    keep_started();
    serve();
    Client c = connect();
    c.send(get_hello);
    until([&] { return started.size() == 1; });
    Listener listener;
    listener.listen(*started[0]);
    drain(milliseconds(100));
    until([&] { return drained; });
    EXPECT_EQ(listener.breaks, 1);
    EXPECT_EQ(listener.broken, Broken::draining);
    EXPECT_TRUE(c.closed());
    started[0]->answer({.status = 200, .content_type = {}, .body = "too late"});
}

TEST_F(Drain, CanBeMadeShorter) {
    keep_started();
    serve();
    Client c = connect();
    c.send(get_hello);
    until([&] { return started.size() == 1; });
    drain(std::chrono::hours(1));
    bool second = false;
    server->drain(milliseconds(0), [&] { second = true; });
    until([&] { return drained && second; });
}

TEST_F(Drain, AcceptsNobody) {
    keep_started();
    serve();
    Client c = connect();
    c.send(get_hello);
    until([&] { return started.size() == 1; });
    // As a supervisor does, somebody else has the socket too: whoever comes waits there for the next server.
    drain(seconds(10));
    EXPECT_EQ(server->stats().connections_accepted, 1U);
    started[0]->answer({.status = 200, .content_type = {}, .body = {}});
    until([&] { return drained; });
}

TEST_F(Drain, LeavesTheBacklogToTheNextServer) {
    answer_targets();
    server = std::make_unique<http::Server>(io, options, handler, runner);
    const int fd = http::open_tcp("127.0.0.1", 0, 16).at(0);
    port = http::port_of(fd);
    const int second_fd = ::dup(fd);
    server->listen(fd);
    server->start();
    drain(seconds(10));
    until([&] { return drained; });
    Client c = connect();
    c.send(get_hello);
    idle();
    EXPECT_EQ(server->stats().connections_accepted, 0U);
    server = std::make_unique<http::Server>(io, options, handler, runner);
    server->listen(second_fd);
    server->start();
    EXPECT_EQ(c.answer().body, "GET /hello");
}

TEST_F(Drain, FinishesAStream) {
    keep_started();
    serve();
    Client c = connect();
    c.send(get_hello);
    until([&] { return started.size() == 1; });
    started[0]->begin({});
    started[0]->write("one");
    drain(seconds(10));
    idle();
    started[0]->write("two");
    started[0]->finish();
    EXPECT_EQ(c.answer().body, "onetwo");
    until([&] { return drained; });
}

}  // namespace
}  // namespace asioserve::test
