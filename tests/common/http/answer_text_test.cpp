// The texts of answers.
#include "common/http/answer_text.hpp"

#include <gtest/gtest.h>

namespace asioserve::http {
namespace {

TEST(AnswerText, WritesDatesOfTheStandard) {
    EXPECT_EQ(http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(http_date(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
}

TEST(AnswerText, KnowsReasonsAndLivesWithoutThem) {
    EXPECT_EQ(reason_phrase(404), "Not Found");
    EXPECT_EQ(reason_phrase(422), "Unprocessable Content");  // RFC 9110; "Entity" before it
    EXPECT_EQ(reason_phrase(299), "");
    BlockPool pool;
    OutBuffer out;
    AnswerText text(false, false, {});
    text.write(out, pool, {.status = 299}, {}, "ab");
    EXPECT_EQ(out.view(), "HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\nab");
}

TEST(AnswerText, NotesWhatTheAppSaysItself) {
    const Header fields[] = {{"DATE", "x"},
                             {"server", "y"},
                             {"Connection", "foo , Close"},
                             {"content-type", "z"},
                             {"Content-Length", "5"}};
    const HeaderNotes n = AnswerText::look_at(fields);
    EXPECT_TRUE(n.date && n.server && n.close && n.content_type);
    EXPECT_EQ(n.content_length, &fields[4]);
    const Header others[] = {{"x-date", "x"}, {"Connection", "keep-alive"}};
    const HeaderNotes m = AnswerText::look_at(others);
    EXPECT_FALSE(m.date || m.server || m.close || m.content_type || m.content_length);
}

TEST(AnswerText, KeepsOneContentType) {
    BlockPool pool;
    OutBuffer out;
    AnswerText text(false, false, {});
    const Header own{"Content-Type", "a/b"};
    const AnswerText::Head head{.content_type = "c/d", .headers = {&own, 1}};
    text.write(out, pool, head, AnswerText::look_at(head.headers), {});
    EXPECT_EQ(out.view(), "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncontent-length: 0\r\n\r\n");
}

TEST(AnswerText, PrefersTheDateAndServerOfTheOptions) {
    BlockPool pool;
    OutBuffer out;
    AnswerText text(true, true, {{"Server", "mine"}, {"Date", "never"}});
    text.write(out, pool, {}, {}, {});
    EXPECT_EQ(out.view(), "HTTP/1.1 200 OK\r\nServer: mine\r\nDate: never\r\ncontent-length: 0\r\n\r\n");
}

TEST(AnswerText, WritesTheUsualAnswerAsAnyOther) {
    using Connection = AnswerText::Connection;
    BlockPool pool;
    for (const bool named : {false, true}) {
        AnswerText text(named, named, {{"x-of", "options"}});
        for (const std::string_view type :
             {std::string_view(), std::string_view("a/b"), std::string_view("application/json")})
            for (const Connection connection :
                 {Connection::silent, Connection::close, Connection::keep_alive})
                for (const std::size_t size : {0u, 1u, 9u, 10u, 99u, 100u, 101u, 12345u, 100000u}) {
                    const std::string body(size, 'x');
                    OutBuffer usual;
                    OutBuffer any;
                    text.write_ok(usual, pool, type, connection, body);
                    text.write(any, pool, {.content_type = type, .length = size, .connection = connection},
                               {}, body);
                    EXPECT_EQ(usual.view(), any.view()) << size;
                }
    }
}

TEST(AnswerText, ChangesItsDate) {
    BlockPool pool;
    AnswerText text(true, false, {});
    text.update(784111777);
    OutBuffer a;
    text.write(a, pool, {}, {}, {});
    EXPECT_NE(a.view().find("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), std::string_view::npos);
    text.update(784111778);
    OutBuffer b;
    text.write(b, pool, {.status = 404}, {}, {});
    EXPECT_NE(b.view().find("date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"), std::string_view::npos);
}

}  // namespace
}  // namespace asioserve::http
