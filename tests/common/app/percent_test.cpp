#include "common/app/percent.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace asioserve::app {
namespace {

TEST(Percent, DecodesWhatIsEncodedAndKeepsTheRest) {
    EXPECT_EQ(percent_decode("/a%20b%2Fc"), "/a b/c");
    EXPECT_EQ(percent_decode("%"), "%");
    EXPECT_EQ(percent_decode("%4"), "%4");
    EXPECT_EQ(percent_decode("%zz%41"), "%zzA");
    EXPECT_EQ(percent_decode("a+b"), "a+b");
    EXPECT_EQ(query_decode("a+b%2B"), "a b+");
    EXPECT_EQ(percent_decode("%00"), std::string(1, '\0'));
}

TEST(Percent, WalksOverAQuery) {
    QueryPairs pairs("&a=1&&b&=c&d==e&");
    std::vector<std::pair<std::string, std::string>> seen;
    while (const auto pair = pairs.next()) seen.emplace_back(pair->first, pair->second);
    const std::vector<std::pair<std::string, std::string>> wanted = {
        {"a", "1"}, {"b", ""}, {"", "c"}, {"d", "=e"}};
    EXPECT_EQ(seen, wanted);
    EXPECT_FALSE(QueryPairs("").next());
}

TEST(Percent, ComparesNamesDecoded) {
    EXPECT_TRUE(query_name_is("a%62", "ab"));
    EXPECT_TRUE(query_name_is("a+b", "a b"));
    EXPECT_FALSE(query_name_is("A", "a"));
}

TEST(Cookies, AreReadAsBrowsersSendThem) {
    EXPECT_EQ(find_cookie("a=1; b=2", "b"), "2");
    EXPECT_EQ(find_cookie("a=1; a=2", "a"), "2");
    EXPECT_EQ(find_cookie(" a = 1 ;b=2", "a"), "1");
    EXPECT_EQ(find_cookie("a=\"x y\"", "a"), "x y");
    EXPECT_EQ(find_cookie(R"(a="q\"\054\\")", "a"), "q\",\\");
    EXPECT_EQ(find_cookie("a=\"", "a"), "\"");
    EXPECT_EQ(find_cookie("a", "a"), std::nullopt);
    EXPECT_EQ(find_cookie("", "a"), std::nullopt);
    EXPECT_EQ(find_cookie("A=1", "a"), std::nullopt);
    EXPECT_EQ(find_cookie("a=b=c", "a"), "b=c");
}

TEST(ContentType, KnowsJson) {
    for (const char* yes :
         {"application/json", "Application/JSON; charset=x", " application/json ", "application/a+json"})
        EXPECT_TRUE(is_json_content_type(yes)) << yes;
    for (const char* no :
         {"", "text/json", "application/jsonx", "application/a/json", "application", "application/json,x"})
        EXPECT_FALSE(is_json_content_type(no)) << no;
}

TEST(Json, LongNumbersAreFoundWhereverTheyStand) {
    for (std::size_t before = 0; before < 60; ++before) {
        const std::string pad(before, 'x');
        EXPECT_TRUE(has_long_number(pad + "1234567890123456789"));
        EXPECT_TRUE(has_long_number(pad + "1234567890123456789,"));
        EXPECT_FALSE(has_long_number(pad + "123456789012345678,"));
        EXPECT_FALSE(has_long_number(pad + "123456789.0123456789"));
    }
    EXPECT_FALSE(has_long_number(""));
}

TEST(Latin1, BecomesUtf8) {
    EXPECT_EQ(latin1_to_utf8("caf\xe9"), "caf\u00e9");
}

}  // namespace
}  // namespace asioserve::app
