// The parser alone: what it reads, whatever the pieces, and what it notes.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "common/http/request_parser.hpp"

namespace asioserve::http {
namespace {

using Event = RequestParser::Event;

/// A parser with one buffer in which everything stays where it is.
struct Reader {
    explicit Reader(std::size_t limit = 65536) : parser(limit) {}

    /// Feeds in pieces of `step` bytes; the events in order, `more` left out.
    std::vector<Event> read(std::string_view bytes, std::size_t step = std::string_view::npos) {
        buffer.assign(bytes.begin(), bytes.end());
        buffer.push_back('#');  // what lies behind must not be looked at
        std::vector<Event> events;
        char* at = buffer.data();
        char* const end = buffer.data() + bytes.size();
        while (at != end) {
            char* const piece = step < static_cast<std::size_t>(end - at) ? at + step : end;
            for (;;) {
                const Event e = parser.feed(at, piece, lines);
                if (e == Event::more) break;
                events.push_back(e);
                if (e == Event::body) body += parser.body();
                if (e == Event::refused) return events;
                if (e == Event::end || e == Event::request) return events;
            }
        }
        rest = static_cast<std::size_t>(end - at);
        return events;
    }

    std::string buffer, body;
    RequestLines lines;
    RequestParser parser;
    std::size_t rest = 0;
};

std::string header(const RequestLines& lines, std::string_view name) {
    for (const Header& h : lines.fields())
        if (h.name == name) return std::string(h.value);
    return "(none)";
}

TEST(Parser, ReadsARequestHoweverItIsSplit) {
    const std::string_view bytes =
        "GET /a%20b?x=1&y HTTP/1.1\r\nHost: example.org:80\r\nX-Mixed-CASE:  some value "
        "\t\r\nEmpty:\r\nBlank: \r\n\r\n";
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
        Reader r;
        ASSERT_EQ(r.read(bytes, step), std::vector{Event::request}) << step;
        EXPECT_EQ(r.lines.method, "GET");
        EXPECT_EQ(r.lines.method_id, Method::get);
        EXPECT_EQ(r.lines.target, "/a%20b?x=1&y");
        EXPECT_EQ(r.lines.path, "/a%20b");
        EXPECT_EQ(r.lines.query, "x=1&y");
        EXPECT_EQ(r.lines.count(), 4U);
        EXPECT_EQ(header(r.lines, "x-mixed-case"), "some value");
        EXPECT_EQ(header(r.lines, "empty"), "");
        EXPECT_EQ(header(r.lines, "blank"), "");
        EXPECT_EQ(r.lines.content_length, 0);
        EXPECT_TRUE(r.lines.safe);
        EXPECT_TRUE(r.lines.keep_alive);
        EXPECT_EQ(r.parser.head_bytes(), bytes.size());
    }
}

TEST(Parser, ReadsABodyWithALengthHoweverItIsSplit) {
    const std::string_view bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
        Reader r;
        const auto events = r.read(bytes, step);
        ASSERT_EQ(events.front(), Event::head) << step;
        EXPECT_EQ(r.lines.content_length, 5);
        EXPECT_EQ(r.body, "hello");
        // The end comes with the next feed, which may be empty.
        char* at = r.buffer.data();
        if (events.back() != Event::end) {
            EXPECT_EQ(r.parser.feed(at, at, r.lines), Event::end) << step;
        }
    }
}

TEST(Parser, ReadsAChunkedBodyHoweverItIsSplit) {
    const std::string_view bytes =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
        "5\r\nhello\r\n6;name=value\r\n world\r\n0\r\nTrailer: t\r\n\r\n";
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
        Reader r;
        const auto events = r.read(bytes, step);
        ASSERT_EQ(events.front(), Event::head) << step;
        ASSERT_EQ(events.back(), Event::end) << step << " " << r.parser.refusal().reason;
        EXPECT_EQ(r.lines.content_length, -1);
        EXPECT_EQ(r.body, "hello world");
        EXPECT_EQ(header(r.lines, "trailer"), "(none)");
    }
}

TEST(Parser, StopsBehindEachRequest) {
    std::string bytes = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    RequestParser parser(65536);
    char* at = bytes.data();
    char* const end = at + bytes.size();
    RequestLines one;
    RequestLines two;
    EXPECT_EQ(parser.feed(at, end, one), Event::request);
    EXPECT_EQ(one.target, "/1");
    EXPECT_EQ(end - at, static_cast<std::ptrdiff_t>(bytes.size() / 2));
    EXPECT_EQ(parser.feed(at, end, two), Event::request);
    EXPECT_EQ(two.target, "/2");
    EXPECT_EQ(at, end);
}

TEST(Parser, FollowsAHeadThatMoves) {
    const std::string_view bytes = "GET /target HTTP/1.1\r\nHost: a\r\nName: value\r\n\r\n";
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
        std::string first(bytes.substr(0, cut));
        std::string second(bytes);
        RequestParser parser(65536);
        RequestLines lines;
        char* at = first.data();
        ASSERT_EQ(parser.feed(at, at + cut, lines), Event::more);
        parser.relocate(second.data() - first.data(), lines);
        second.replace(0, cut, first);
        first.assign(first.size(), '!');
        at = second.data() + cut;
        ASSERT_EQ(parser.feed(at, second.data() + second.size(), lines), Event::request) << cut;
        EXPECT_EQ(lines.target, "/target");
        EXPECT_EQ(header(lines, "host"), "a");
        EXPECT_EQ(header(lines, "name"), "value");
    }
}

TEST(Parser, KeepsManyHeaders) {
    std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 0; i < 100; ++i)
        bytes.append("h").append(std::to_string(i)).append(": v").append(std::to_string(i)).append("\r\n");
    bytes += "\r\n";
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
        Reader r;
        ASSERT_EQ(r.read(bytes, step), std::vector{Event::request});
        EXPECT_EQ(r.lines.count(), 101U);
        EXPECT_EQ(header(r.lines, "h0"), "v0");
        EXPECT_EQ(header(r.lines, "h99"), "v99");
    }
}

TEST(Parser, KnowsWhetherTheConnectionStays) {
    const auto keeps = [](std::string_view bytes) {
        Reader r;
        EXPECT_EQ(r.read(bytes), std::vector{Event::request}) << bytes;
        return r.lines.keep_alive;
    };
    EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive, Close\r\n\r\n"));
    EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
    EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(Parser, TakesAnUpgradeForAPlainRequest) {
    Reader r;
    EXPECT_EQ(r.read("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
              std::vector{Event::request});
    EXPECT_TRUE(r.lines.keep_alive);
}

TEST(Parser, KnowsExpectContinue) {
    Reader r;
    r.read("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n");
    EXPECT_TRUE(r.lines.expects_continue);
    Reader without_body;
    without_body.read("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
    EXPECT_FALSE(without_body.lines.expects_continue);
    Reader old;
    old.read("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    EXPECT_FALSE(old.lines.expects_continue);
}

TEST(Parser, TakesTargetsApart) {
    const auto path = [](std::string_view target, std::string_view method = "GET") {
        Reader r;
        const std::string bytes =
            std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n";
        if (r.read(bytes) != std::vector{Event::request}) return std::to_string(r.parser.refusal().status);
        return std::string(r.lines.path) + "|" + std::string(r.lines.query);
    };
    EXPECT_EQ(path("/"), "/|");
    EXPECT_EQ(path("/a?b?c"), "/a|b?c");
    EXPECT_EQ(path("/?"), "/|");
    EXPECT_EQ(path("//a"), "//a|");
    EXPECT_EQ(path("http://host/a?b"), "/a|b");
    EXPECT_EQ(path("http://host:80"), "/|");
    EXPECT_EQ(path("http://host?q"), "/|q");
    EXPECT_EQ(path("https://[::1]:1/x"), "/x|");
    EXPECT_EQ(path("ftp://host/"), "400");
    EXPECT_EQ(path("http:///x"), "400");
    EXPECT_EQ(path("*"), "400");
    EXPECT_EQ(path("*", "OPTIONS"), "*|");
    EXPECT_EQ(path("/a#b"), "400");
    EXPECT_EQ(path("host:80", "CONNECT"), "501");
}

TEST(Parser, TellsALongLineFromLargeHeadersHoweverSplit) {
    const std::string line = "GET /" + std::string(300, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
    const std::string headers = "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(300, 'a') + "\r\n\r\n";
    for (const std::size_t step : {std::size_t{1}, std::size_t{13}, std::size_t{1000}}) {
        Reader a(256);
        ASSERT_EQ(a.read(line, step).back(), Event::refused);
        EXPECT_EQ(a.parser.refusal().status, 414) << step;
        Reader b(256);
        ASSERT_EQ(b.read(headers, step).back(), Event::refused);
        EXPECT_EQ(b.parser.refusal().status, 431) << step;
    }
    const std::string fits = "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(256 - 31, 'a') + "\r\n\r\n";
    ASSERT_EQ(fits.size(), 256U + 1U);
    Reader over(256);
    EXPECT_EQ(over.read(fits).back(), Event::refused);
    Reader exact(257);
    EXPECT_EQ(exact.read(fits).back(), Event::request);
}

TEST(Parser, BoundsWhatIsAroundAChunkedBody) {
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    Reader extension(256);
    EXPECT_EQ(extension.read(head + "1;" + std::string(400, 'x') + "\r\na\r\n0\r\n\r\n").back(),
              Event::refused);
    EXPECT_EQ(extension.parser.refusal().status, 400);
    Reader zeros(256);
    EXPECT_EQ(zeros.read(head + std::string(400, '0') + "1\r\na\r\n0\r\n\r\n").back(), Event::refused);
    Reader trailers(256);
    EXPECT_EQ(trailers.read(head + "1\r\na\r\n0\r\nX: " + std::string(400, 'x') + "\r\n\r\n").back(),
              Event::refused);
    EXPECT_EQ(trailers.parser.refusal().status, 431);
    std::string tiny = head;
    for (int i = 0; i < 1000; ++i) tiny += "1\r\na\r\n";
    Reader many(256);
    EXPECT_EQ(many.read(tiny + "0\r\n\r\n").back(), Event::end);
    EXPECT_EQ(many.body.size(), 1000U);
}

TEST(Parser, RefusesFoldedTrailersHoweverTheyAreSplit) {
    const std::string head =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n";
    for (const char* trailers : {"X: a\r\n b\r\n\r\n", "X: a\r\n \r\n\r\n", "X:\r\n b\r\n\r\n",
                                 "X:\r\n \r\n\r\n", "X: \r\n \t \t \r\nY: b\r\n\r\n", " X: a\r\n\r\n"}) {
        const std::string bytes = head + trailers;
        for (std::size_t step = 1; step <= bytes.size(); ++step) {
            Reader r;
            EXPECT_EQ(r.read(bytes, step).back(), Event::refused) << trailers << step;
            EXPECT_EQ(r.parser.refusal().status, 400);
        }
    }
}

TEST(Parser, TakesBlanksInsideOfTrailersAndContent) {
    const std::string bytes =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n \n \r\n2\r\n\t\n\r\n0\r\n"
        "Empty:\r\nBlank: \t \r\nX: a b \r\n\r\n";
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
        Reader r;
        EXPECT_EQ(r.read(bytes, step).back(), Event::end) << step;
        EXPECT_EQ(r.body, " \n \t\n");
    }
}

TEST(Parser, StaysRefused) {
    Reader r;
    r.read("nonsense\r\n\r\n");
    std::string fine = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    char* at = fine.data();
    EXPECT_EQ(r.parser.feed(at, at + fine.size(), r.lines), Event::refused);
}

}  // namespace
}  // namespace asioserve::http
