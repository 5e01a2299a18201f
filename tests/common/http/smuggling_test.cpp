// What an intermediary and we could read differently is refused: with the right status, and the connection
// closed, however the bytes are split.
#include <string>

#include "tests/common/http/harness.hpp"

namespace asioserve::test {
namespace {

struct Case {
    const char* name;
    std::string bytes;
    int status;
};

std::string post(const std::string& fields, const std::string& body = "") {
    return "POST /p HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}
std::string chunked(const std::string& body) {
    return post("Transfer-Encoding: chunked\r\n", body);
}

const Case cases[] = {
    {"both lengths", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
    {"both lengths, other order", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"),
     400},
    {"length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400},
    {"length twice, differing", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400},
    {"length list", post("Content-Length: 3, 3\r\n", "abc"), 400},
    {"length with a sign", post("Content-Length: +3\r\n", "abc"), 400},
    {"negative length", post("Content-Length: -3\r\n", "abc"), 400},
    {"length in two words", post("Content-Length: 3 3\r\n", "abc"), 400},
    {"length in hex", post("Content-Length: 0x3\r\n", "abc"), 400},
    {"empty length", post("Content-Length:\r\n", "abc"), 400},
    {"length overflow", post("Content-Length: 18446744073709551619\r\n", "abc"), 400},
    {"folded header", post("X: a\r\n b\r\n"), 400},
    {"folded header, tab", post("X: a\r\n\tb\r\n"), 400},
    {"folded header, empty first line", post("X:\r\n b\r\n"), 400},
    {"folded header, blank", post("X: a\r\n \r\n"), 400},
    {"folded length", post("Content-Length:\r\n 3\r\n", "abc"), 400},
    {"folded first header", "GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n", 400},
    {"bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
    {"bare LF behind a header", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400},
    {"bare LF at the end of the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
    {"bare CR in a header", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},
    {"bare CR at the end of the head", "GET / HTTP/1.1\r\nHost: a\r\n\rX", 400},
    {"NUL in a header", "GET / HTTP/1.1\r\nHost: a\r\nX: a" + std::string(1, '\0') + "b\r\n\r\n", 400},
    {"control character in a header", "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400},
    {"space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400},
    {"tab before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n", 400},
    {"empty header name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400},
    {"header without a colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400},
    {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"no host, other header", "GET / HTTP/1.1\r\nX: a\r\n\r\n", 400},
    {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
    {"two hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
    {"host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
    {"unknown coding", post("Transfer-Encoding: gzip\r\n"), 400},
    {"coding before chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
    {"coding before chunked, and a malformed header",
     post("Transfer-Encoding: gzip, chunked\r\nX\xe4: a\r\n", "0\r\n\r\n"), 400},
    {"coding that ends like chunked", post("Transfer-Encoding: xchunked\r\nX: a\r\n", "0\r\n\r\n"), 400},
    {"coding behind chunked", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), 400},
    {"chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
    {"chunked with a vertical tab",
     post("Transfer-Encoding: \x0b"
          "chunked\r\n",
          "0\r\n\r\n"),
     400},
    {"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"chunk size that is no number", chunked("x\r\na\r\n0\r\n\r\n"), 400},
    {"chunk size in hex notation", chunked("0x1\r\na\r\n0\r\n\r\n"), 400},
    {"negative chunk size", chunked("-1\r\na\r\n0\r\n\r\n"), 400},
    {"empty chunk size", chunked("\r\na\r\n0\r\n\r\n"), 400},
    {"chunk size overflow", chunked("11111111111111111\r\na\r\n"), 400},
    {"blank behind a chunk size", chunked("1 \r\na\r\n0\r\n\r\n"), 400},
    {"bare LF behind a chunk size", chunked("1\na\r\n0\r\n\r\n"), 400},
    {"bare LF behind an extension", chunked("1;a\na\r\n0\r\n\r\n"), 400},
    {"bare LF behind a chunk", chunked("1\r\na\n0\r\n\r\n"), 400},
    {"bare LF behind the last chunk", chunked("1\r\na\r\n0\n\r\n"), 400},
    {"bare LF at the end of the body", chunked("1\r\na\r\n0\r\n\n"), 400},
    {"chunk longer than its size", chunked("1\r\nab\r\n0\r\n\r\n"), 400},
    {"chunk shorter than its size", chunked("3\r\na\r\n0\r\n\r\n"), 400},
    {"length in a trailer that would count", chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
    {"bare CR behind the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", 400},
    {"folded trailer", chunked("0\r\nX: a\r\n b\r\n\r\n"), 400},
    {"folded trailer, empty first line", chunked("0\r\nX:\r\n b\r\n\r\n"), 400},
    {"folded trailer, blanks only", chunked("0\r\nX: a\r\n \r\n\r\n"), 400},
    {"folded trailer, nothing but blanks", chunked("0\r\nX:\r\n \t \r\n\r\n"), 400},
    {"folded trailer, nothing but blanks, and a trailer", chunked("0\r\nX: \r\n\t\r\nY: b\r\n\r\n"), 400},
    {"blank in front of the first trailer", chunked("0\r\n X: a\r\n\r\n"), 400},
    {"blank line of trailers", chunked("0\r\n \r\n\r\n"), 400},
    {"two blanks in the request line", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"two blanks behind the target", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"blank behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
    {"HTTP/0.9 line", "GET /\r\n\r\n", 400},
    {"HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
    {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"another protocol", "GET / RTSP/1.0\r\nHost: a\r\n\r\n", 400},
    {"lower case protocol", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
    {"unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
    {"lower case method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
    {"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
    {"TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400},
    {"target with a space", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"target with a raw byte", "GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"target without a slash", "GET abc HTTP/1.1\r\nHost: a\r\n\r\n", 400},
};

class Smuggling : public Harness, public ::testing::WithParamInterface<Case> {};

TEST_P(Smuggling, IsRefusedAndTheConnectionClosed) {
    int started_requests = 0;
    handler.on_route = [](Exchange&) { return Routed{Kind::plain, BodyMode::collect}; };
    handler.on_start = [&](Exchange&, AnswerSink answer) {
        ++started_requests;
        answer({.status = 200, .content_type = {}, .body = "no"});
    };
    serve();
    const Case& c = GetParam();
    // A request behind the refused one must never be served.
    const std::string bytes = c.bytes + std::string(get_hello);
    for (const std::size_t step : {bytes.size(), std::size_t{1}, std::size_t{17}}) {
        SCOPED_TRACE(step);
        Client client = connect();
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            client.send_some(std::string_view(bytes).substr(at, step));
            turn(std::chrono::milliseconds(0));
        }
        const Answer a = client.answer();
        EXPECT_EQ(a.status, c.status) << a.body;
        EXPECT_TRUE(a.close);
        EXPECT_TRUE(client.closed());
        EXPECT_EQ(started_requests, 0);
    }
}

INSTANTIATE_TEST_SUITE_P(Requests, Smuggling, ::testing::ValuesIn(cases), [](const auto& info) {
    std::string name;
    for (const char c : std::string_view(info.param.name))
        name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    return name;
});

}  // namespace
}  // namespace asioserve::test
