// Streamed answers: framing, back-pressure by a slow reader, trailers, and giving up in the middle.
#include "tests/common/http/harness.hpp"

namespace asioserve::test {
namespace {

class Stream : public Harness {
  protected:
    Exchange& start(Client& c, std::string_view request = get_hello) {
        keep_started();
        c.send(request);
        const std::size_t before = started.size();
        until([&] { return started.size() > before; });
        return *started.back();
    }
};

TEST_F(Stream, IsChunkedWithoutALength) {
    serve();
    Client c = connect();
    Exchange& x = start(c);
    const Header type{"content-type", "text/event-stream"};
    x.begin({.status = 201, .headers = {&type, 1}});
    x.write("one ");
    x.write("");
    idle(3);
    x.write("two");
    x.finish();
    const Answer a = c.answer();
    EXPECT_EQ(a.status, 201);
    EXPECT_TRUE(a.chunked);
    EXPECT_FALSE(a.has("content-length"));
    EXPECT_EQ(a.field("content-type"), "text/event-stream");
    EXPECT_EQ(a.body, "one two");
    EXPECT_FALSE(a.close);
}

TEST_F(Stream, ArrivesPieceByPiece) {
    serve();
    Client c = connect();
    Exchange& x = start(c);
    x.begin({});
    EXPECT_TRUE(c.available().ends_with("\r\n\r\n"));
    x.write("now");
    EXPECT_EQ(c.available(), "3\r\nnow\r\n");
    x.finish();
    EXPECT_EQ(c.available(), "0\r\n\r\n");
}

TEST_F(Stream, HasTheLengthThatItAnnounces) {
    serve();
    Client c = connect();
    Exchange& x = start(c);
    x.begin({.status = 200, .headers = {}, .content_length = 6});
    x.write("one");
    x.write("two and more");
    x.finish();
    const Answer a = c.answer();
    EXPECT_EQ(a.body, "onetwo");
    EXPECT_EQ(c.available(), "");
}

TEST_F(Stream, ThatIsShorterThanAnnouncedCutsTheConnection) {
    serve();
    Client c = connect();
    Exchange& x = start(c);
    x.begin({.status = 200, .headers = {}, .content_length = 6});
    x.write("one");
    x.finish();
    EXPECT_TRUE(c.rest().ends_with("\r\n\r\none"));
}

TEST_F(Stream, HasTrailers) {
    serve();
    Client c = connect();
    Exchange& x = start(c);
    x.begin({});
    x.write("x");
    const Header trailers[] = {{"checksum", "1"}, {"more", "2"}};
    x.finish(trailers);
    const Answer a = c.answer();
    EXPECT_EQ(a.body, "x");
    EXPECT_EQ(a.trailers, "checksum: 1\r\nmore: 2\r\n");
    c.send(get_hello);
    until([&] { return started.size() == 2; });
}

TEST_F(Stream, EndsWithTheConnectionInHttp10) {
    serve();
    Client c = connect();
    Exchange& x = start(c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    x.begin({});
    x.write("one");
    x.write("two");
    x.finish();
    const Answer a = c.answer();
    EXPECT_TRUE(a.close);
    EXPECT_FALSE(a.chunked);
    EXPECT_EQ(a.body, "onetwo");
    EXPECT_FALSE(c.was_reset());
}

TEST_F(Stream, ToHeadHasNoBody) {
    serve();
    Client c = connect();
    Exchange& x = start(c, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    x.begin({});
    x.write("one");
    x.finish();
    EXPECT_EQ(c.answer(true).status, 200);
    EXPECT_EQ(c.available(), "");
}

TEST_F(Stream, GivenUpInTheMiddleIsSeenToBeBroken) {
    serve();
    Client c = connect();
    Exchange& x = start(c);
    x.begin({});
    x.write("part");
    x.fail();
    const std::string all = c.rest();
    EXPECT_TRUE(all.ends_with("4\r\npart\r\n")) << all;
}

TEST_F(Stream, GivenUpInHttp10IsAReset) {
    serve();
    Client c = connect();
    Exchange& x = start(c, "GET / HTTP/1.0\r\n\r\n");
    x.begin({});
    x.write("part");
    idle();
    x.fail();
    c.rest();
    EXPECT_TRUE(c.was_reset());  // a plain end would look complete
}

TEST_F(Stream, GivenUpBehindAnotherAnswerComesAfterIt) {
    serve();
    Client c = connect();
    Exchange& first = start(c);
    Exchange& second = start(c);
    second.begin({});
    second.write("x");
    second.fail();
    EXPECT_EQ(c.available(), "");
    first.answer({.status = 200, .content_type = {}, .body = "first"});
    EXPECT_EQ(c.answer().body, "first");
    EXPECT_TRUE(c.rest().ends_with("1\r\nx\r\n"));
}

TEST_F(Stream, ASlowReaderStopsTheProducer) {
    options.limits.send_buffer_bytes = 100'000;
    serve();
    Client c = connect(4096);
    Exchange& x = start(c);
    Listener listener;
    std::size_t produced = 0;
    const std::string piece(10'000, 'p');
    constexpr std::size_t total = 20'000'000;
    const auto produce = [&] {
        while (produced < total && x.send_credit() > 0) {
            x.write(piece);
            produced += piece.size();
        }
        if (produced == total) {
            x.finish();
            produced += 1;
        }
    };
    listener.refill = produce;
    listener.listen(x);
    x.begin({});
    produce();
    for (std::size_t last = 0; last != produced;) {  // until nothing moves any more
        last = produced;
        idle(50);
    }
    EXPECT_LT(produced, total / 2);
    const std::size_t stuck = produced;
    idle(50);
    EXPECT_EQ(produced, stuck);
    EXPECT_LT(x.send_credit(), 50'000);
    const int credits = listener.credits;
    for (std::size_t read = 0; produced == stuck && read < total; read += 100'000) c.take(100'000);
    EXPECT_GT(produced, stuck);
    EXPECT_GT(listener.credits, credits);
}

TEST_F(Stream, CreditComesBackOnlyWhenHalfIsSent) {
    options.limits.send_buffer_bytes = 1000;
    serve();
    Client c = connect();
    Exchange& x = start(c);
    Listener listener;
    listener.listen(x);
    x.begin({});
    idle();
    EXPECT_EQ(x.send_credit(), 1000);
    x.write(std::string(400, 'a'));
    EXPECT_GT(x.send_credit(), 0);
    EXPECT_LT(x.send_credit(), 600);
    x.write(std::string(700, 'a'));
    EXPECT_LE(x.send_credit(), 0);
    EXPECT_EQ(listener.credits, 0);  // never from inside
    until([&] { return listener.credits == 1; });
    EXPECT_EQ(x.send_credit(), 1000);
    x.listener(nullptr);
    x.finish();
    EXPECT_EQ(c.answer().body.size(), 1100U);
}

TEST_F(Stream, LargePiecesAreSentFromWhereTheyAre) {
    serve();
    Client c = connect();
    Exchange& x = start(c);
    std::string sent;
    x.begin({});
    for (int i = 0; i < 20; ++i) {
        const std::string piece(100'000, static_cast<char>('a' + i));
        x.write(piece);
        sent += piece;
    }
    x.finish();
    EXPECT_TRUE(c.answer().body == sent);
}

TEST_F(Stream, VerbsAreSafeWhenThePeerHasLeft) {
    serve();
    Client c = connect();
    Exchange& x = start(c);
    Listener listener;
    listener.listen(x);
    x.begin({});
    c.reset();
    until([&] {
        x.write("anybody there?");
        return listener.breaks == 1;
    });
    EXPECT_EQ(listener.broken, Broken::peer_left);
    EXPECT_TRUE(x.peer_left());
    x.write("no");
    EXPECT_GT(x.send_credit(), 0);
    x.read_body();
    x.finish();
    x.fail();
    idle();
    EXPECT_EQ(listener.breaks, 1);
}

TEST_F(Stream, VerbsOutOfOrderDoNothing) {
    serve();
    Client c = connect();
    Exchange& x = start(c);
    x.write("early");
    x.finish();
    x.begin({});
    x.begin({});
    x.answer({.status = 500, .content_type = {}, .body = "no"});
    x.write("body");
    x.finish();
    x.finish();
    x.write("late");
    EXPECT_EQ(c.answer().body, "body");
    EXPECT_EQ(c.available(), "");
}

}  // namespace
}  // namespace asioserve::test
