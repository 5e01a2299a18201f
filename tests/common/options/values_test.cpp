#include "common/options/values.hpp"

#include <gtest/gtest.h>

namespace asioserve::options {
namespace {

using std::chrono::milliseconds;

struct DurationCase {
    const char* text;
    long long ms;
};

TEST(Duration, IsReadAsPeopleWriteIt) {
    for (const auto& [text, ms] : {
             DurationCase{"0", 0},
             {"30", 30'000},
             {"0.5", 500},
             {"1.5s", 1'500},
             {"500ms", 500},
             {"30s", 30'000},
             {"90m", 5'400'000},
             {"1h30m", 5'400'000},
             {"2d3h4m5s6ms", 183'845'006},
             {"10000d", 864'000'000'000},
         }) {
        EXPECT_EQ(parse_duration(text), milliseconds(ms)) << text;
    }
}

TEST(Duration, ABoundIsNeverRoundedToNone) {
    EXPECT_EQ(parse_duration("0.0001"), milliseconds(1));
}

TEST(Duration, RefusesEverythingElse) {
    for (const char* text : {"",     " ",    "-1",   "+1",  "1 s",  "s",      "1x",
                             "1m1h", "1s1s", "1h30", "1e3", "inf",  "nan",    "0x10",
                             "1.",   ".5",   "1..5", "1s ", "1sec", "10001d", "99999999999999999999h",
                             "1,5"})
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(Duration, TextGivesTheDurationAgain) {
    for (const long long ms : {0LL, 1LL, 999LL, 1'000LL, 60'000LL, 5'400'000LL, 183'845'006LL})
        EXPECT_EQ(parse_duration(duration_text(milliseconds(ms))), milliseconds(ms));
    EXPECT_EQ(duration_text(milliseconds(5'400'000)), "1h30m");
}

TEST(Size, IsReadAsPeopleWriteIt) {
    EXPECT_EQ(parse_size("0"), 0);
    EXPECT_EQ(parse_size("65536"), 65536);
    EXPECT_EQ(parse_size("64KiB"), 65536);
    EXPECT_EQ(parse_size("100MiB"), 100 * 1024 * 1024);
    EXPECT_EQ(parse_size("2GiB"), 2LL << 30);
    EXPECT_EQ(parse_size("10kB"), 10'000);
    EXPECT_EQ(parse_size("5MB"), 5'000'000);
    EXPECT_EQ(parse_size("7B"), 7);
}

TEST(Size, RefusesEverythingElse) {
    for (const char* text : {"", "KiB", "-1", "+1", "1 KiB", "1.5MiB", "1kib", "1K", "1KiBx", "0x10",
                             "18446744073709551616", "9999999999GiB"})
        EXPECT_EQ(parse_size(text), std::nullopt) << text;
}

TEST(Size, TextGivesTheSizeAgain) {
    for (const std::uint64_t bytes :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{65536}, std::uint64_t{65537}})
        EXPECT_EQ(parse_size(size_text(bytes)), bytes);
    EXPECT_EQ(size_text(65536), "64KiB");
}

TEST(Header, LosesTheSpacesAroundItsValue) {
    const auto header = parse_header("X-A: \t b: c ");
    ASSERT_TRUE(header);
    EXPECT_EQ(header->first, "X-A");
    EXPECT_EQ(header->second, "b: c");
    EXPECT_EQ(parse_header("x:")->second, "");
}

TEST(Header, RefusesWhatWouldBreakAnAnswer) {
    for (const char* text : {"", "x", ":v", "x y: v", "x : v", "x: a\r\nb: c", "x: a\nb", "x\n: v", "x: \x01",
                             "x: \x7f", "\xc3\xa4: v", "x(: v"})
        EXPECT_EQ(parse_header(text), std::nullopt) << text;
    EXPECT_FALSE(parse_header({"x: a\0b", 6}));
}

}  // namespace
}  // namespace asioserve::options
