#include "bench/load/answer_counter.hpp"

#include <gtest/gtest.h>

#include <string>

namespace asioserve::bench {
namespace {

std::string answer(const std::string& body, const std::string& extra = "") {
    return "HTTP/1.1 200 OK\r\n" + extra + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
}

TEST(AnswerCounter, CountsAnswersThatComeTogether) {
    AnswerCounter counter;
    EXPECT_EQ(counter.feed(answer("one") + answer("two") + answer("six")), 3U);
    EXPECT_EQ(counter.error(), "");
}

TEST(AnswerCounter, CountsTheSameHoweverTheBytesAreSplit) {
    const std::string stream =
        answer("one") + answer("") + answer("a longer one", "X: y\r\n") + answer("two") + answer("six");
    for (std::size_t size = 1; size < stream.size(); ++size) {
        AnswerCounter counter;
        std::size_t answers = 0;
        for (std::size_t at = 0; at < stream.size(); at += size) {
            answers += counter.feed(std::string_view(stream).substr(at, size));
        }
        EXPECT_EQ(answers, 5U) << "in pieces of " << size;
        EXPECT_EQ(counter.error(), "");
    }
}

TEST(AnswerCounter, SeesALengthThatChangesWithoutMovingAnything) {
    AnswerCounter counter;
    EXPECT_EQ(counter.feed(answer("123") + answer("12345") + answer("1") + answer("123456789")), 4U);
    EXPECT_EQ(counter.error(), "");
}

TEST(AnswerCounter, AnAnswerIsCountedOnlyWhenItsLastByteIsThere) {
    AnswerCounter counter;
    const std::string all = answer("body");
    EXPECT_EQ(counter.feed(all.substr(0, all.size() - 1)), 0U);
    EXPECT_EQ(counter.feed(all.substr(all.size() - 1)), 1U);
}

TEST(AnswerCounter, RefusesAnythingButA200) {
    AnswerCounter counter;
    EXPECT_EQ(counter.feed(answer("x") + "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n" + answer("x")), 1U);
    EXPECT_EQ(counter.error(), "answer is not 200: HTTP/1.1 500 Oh");
    EXPECT_EQ(counter.feed(answer("x")), 0U);
}

TEST(AnswerCounter, RefusesAnswersThatItCannotCount) {
    AnswerCounter chunked;
    chunked.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(chunked.error(), "answer has no Content-Length");
    AnswerCounter bad;
    bad.feed("HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n");
    EXPECT_EQ(bad.error(), "answer has a bad Content-Length");
    AnswerCounter endless;
    endless.feed(std::string(100'000, 'x'));
    endless.feed(std::string(100'000, 'x'));
    EXPECT_EQ(endless.error(), "answer's head does not end");
}

}  // namespace
}  // namespace asioserve::bench
