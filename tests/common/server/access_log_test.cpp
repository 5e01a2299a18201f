#include "common/app/access_log.hpp"

#include <gtest/gtest.h>

namespace asioserve::app {
namespace {

http::AccessRecord record(const RequestHead* head, int status) {
    return {{"127.0.0.1:4711", "127.0.0.1:8000"}, head, status, 17, std::chrono::microseconds(1234)};
}

TEST(AccessLog, HasUvicornsLineWithSizeAndDuration) {
    RequestHead head;
    head.method = "GET";
    head.target = "/a?b=1";
    EXPECT_EQ(access_line(record(&head, 200)), "127.0.0.1:4711 - \"GET /a?b=1 HTTP/1.1\" 200 OK 17B 1.234ms");
}

TEST(AccessLog, CannotBeForgedByATarget) {
    RequestHead head;
    head.method = "GET";
    head.target = "/\" 200\n\x1b[31m\xff\\";
    head.version_minor = 0;
    EXPECT_EQ(
        access_line(record(&head, 404)),
        "127.0.0.1:4711 - \"GET /\\x22 200\\x0a\\x1b[31m\\xff\\x5c HTTP/1.0\" 404 Not Found 17B 1.234ms");
}

TEST(AccessLog, DoesWithoutARequestLine) {
    EXPECT_EQ(access_line(record(nullptr, 400)), "127.0.0.1:4711 - \"-\" 400 Bad Request 17B 1.234ms");
    RequestHead empty;
    EXPECT_EQ(access_line(record(&empty, 799)), "127.0.0.1:4711 - \"-\" 799 17B 1.234ms");
}

}  // namespace
}  // namespace asioserve::app
