#include "common/app/numbers.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace asioserve::app {
namespace {

std::optional<std::int64_t> number(std::string_view text) {
    const ParsedInt n = parse_int(text);
    if (n.is != ParsedInt::Is::number) return std::nullopt;
    return n.value;
}

TEST(ParseInt, TakesWhatPydanticTakes) {
    EXPECT_EQ(number("0"), 0);
    EXPECT_EQ(number("-1"), -1);
    EXPECT_EQ(number("+007"), 7);
    EXPECT_EQ(number(" 1 "), 1);
    EXPECT_EQ(number("\t1\n"), 1);
    EXPECT_EQ(number("\u00a01\u3000"), 1);
    EXPECT_EQ(number("1_000"), 1000);
    EXPECT_EQ(number("0__1"), 1);
    EXPECT_EQ(number("1.000"), 1);
    EXPECT_EQ(number("-0.0"), 0);
    EXPECT_EQ(number("999999999999999999"), 999999999999999999);
}

TEST(ParseInt, RefusesWhatPydanticRefuses) {
    for (const char* text :
         {"",      " ",  "-",  "+",    "--1",   "+-1", "1.",     ".0",    "1.5",  "1e3",  "0x10",
          "1,000", "_1", "1_", "1__0", "1.0_0", "1 1", "\u0661", "\0341", "true", "1..0", "."})
        EXPECT_EQ(parse_int(text).is, ParsedInt::Is::no_int) << text;
    EXPECT_EQ(parse_int(std::string_view("1\0", 2)).is, ParsedInt::Is::no_int);
}

TEST(ParseInt, KeepsTheDigitsOfLargeOnes) {
    EXPECT_EQ(parse_int("-9223372036854775808").digits, "-9223372036854775808");
    EXPECT_EQ(parse_int("+0012345678901234567890_1.00").digits, "123456789012345678901");
    EXPECT_EQ(parse_int("9223372036854775807").is, ParsedInt::Is::big);
}

TEST(ParseInt, HasALimitOnDigitsButNotOnZeros) {
    EXPECT_EQ(parse_int(std::string(4300, '9')).is, ParsedInt::Is::big);
    EXPECT_EQ(parse_int(std::string(4301, '9')).is, ParsedInt::Is::too_long);
    EXPECT_EQ(parse_int("-" + std::string(4300, '9')).is, ParsedInt::Is::big);
    EXPECT_EQ(parse_int(std::string(100'000, '0') + "1").value, 1);
}

TEST(ParseFloat, TakesWhatPydanticTakes) {
    EXPECT_EQ(parse_float("1.5"), 1.5);
    EXPECT_EQ(parse_float(" -1e3 "), -1000.0);
    EXPECT_EQ(parse_float("+.5"), 0.5);
    EXPECT_EQ(parse_float("5."), 5.0);
    EXPECT_EQ(parse_float("1_000.5"), 1000.5);
    EXPECT_EQ(parse_float("-Infinity"), -std::numeric_limits<double>::infinity());
    EXPECT_EQ(parse_float("1e400"), std::numeric_limits<double>::infinity());
    EXPECT_EQ(parse_float("-1e-400"), 0.0);
    EXPECT_TRUE(std::signbit(*parse_float("-1e-400")));
    EXPECT_TRUE(std::isnan(*parse_float("NaN")));
}

TEST(ParseFloat, RefusesWhatPydanticRefuses) {
    for (const char* text : {"", "-", ".", "e3", "1e", "+-1", "--1", "1,5", "0x1p3", "nan(1)", "1.5x", "in",
                             "_1", "1__0", " 1_0", "1 2"})
        EXPECT_FALSE(parse_float(text)) << text;
}

TEST(ParseBool, TakesWordsInAnyCase) {
    for (const char* text : {"1", "true", "TRUE", "t", "Yes", "y", "oN"})
        EXPECT_EQ(parse_bool(text), true) << text;
    for (const char* text : {"0", "false", "F", "no", "N", "oFf"}) EXPECT_EQ(parse_bool(text), false) << text;
}

TEST(ParseBool, RefusesEverythingElse) {
    for (const char* text : {"", "2", "1.0", " 1", "truee", "falsey", "null", "00"})
        EXPECT_FALSE(parse_bool(text)) << text;
}

}  // namespace
}  // namespace asioserve::app
