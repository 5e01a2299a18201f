#include "common/app/pattern.hpp"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <stdexcept>
#include <vector>

namespace asioserve::app {
namespace {

using Taken = std::optional<std::vector<std::string>>;

Taken match(const std::string& path_template, std::string_view path) {
    const Pattern pattern(path_template);
    std::vector<std::string_view> captures(pattern.names().size());
    if (!pattern.match(path, captures)) return std::nullopt;
    return std::vector<std::string>(captures.begin(), captures.end());
}

std::vector<std::string> taken(std::initializer_list<const char*> texts) {
    return {texts.begin(), texts.end()};
}

TEST(Pattern, TakesOneSegmentByDefault) {
    EXPECT_EQ(match("/user/{id}", "/user/7"), taken({"7"}));
    EXPECT_EQ(match("/user/{id}", "/user/"), std::nullopt);
    EXPECT_EQ(match("/user/{id}", "/user/7/x"), std::nullopt);
    EXPECT_EQ(match("/user/{id}", "/user"), std::nullopt);
    EXPECT_EQ(match("/{a}/x/{b}", "/1/x/2"), taken({"1", "2"}));
    EXPECT_EQ(match("/{a}/x/{b}", "/1/y/2"), std::nullopt);
}

TEST(Pattern, TakesAWholePathWhereAsked) {
    EXPECT_EQ(match("/files/{name:path}", "/files/"), taken({""}));
    EXPECT_EQ(match("/files/{name:path}", "/files/a/b"), taken({"a/b"}));
    EXPECT_EQ(match("/{all:path}/end", "/a/end/end"), taken({"a/end"}));
    EXPECT_EQ(match("/{all:path}", "/a\nb"), std::nullopt);
}

TEST(Pattern, ConvertorsSayWhatFits) {
    EXPECT_EQ(match("/{x:int}", "/007"), taken({"007"}));
    EXPECT_EQ(match("/{x:int}", "/-7"), std::nullopt);
    EXPECT_EQ(match("/{x:float}", "/1.5"), taken({"1.5"}));
    for (const char* path : {"/.5", "/5.", "/1.5.5", "/1e3"})
        EXPECT_EQ(match("/{x:float}", path), std::nullopt) << path;
    EXPECT_TRUE(match("/{x:uuid}", "/01234567-89AB-cdef-0123-456789abcdef"));
    EXPECT_TRUE(match("/{x:uuid}", "/0123456789abcdef0123456789abcdef"));
    for (const char* path : {"/0123456789abcdef0123456789abcde", "/0123456789abcdef0123456789abcdefa",
                             "/-0123456789abcdef0123456789abcde", "/01234567--89ab-cdef-0123-456789abcde"})
        EXPECT_FALSE(match("/{x:uuid}", path)) << path;
}

TEST(Pattern, IsGreedyAndGoesBack) {
    EXPECT_EQ(match("/{a}-{b}", "/1-2-3"), taken({"1-2", "3"}));
    EXPECT_EQ(match("/{a}.json", "/x.json.json"), taken({"x.json"}));
    EXPECT_EQ(match("/v{n:int}x{m:int}", "/v12x3"), taken({"12", "3"}));
    EXPECT_EQ(match("/{a:float}{b:int}", "/1.25"), taken({"1.2", "5"}));
    EXPECT_EQ(match("/{a}{b}", "/x"), std::nullopt);
}

TEST(Pattern, GivesUpOnAHostilePathInTime) {
    const std::string path = "/" + std::string(60'000, '-') + "x";
    EXPECT_EQ(match("/{a}-{b}-{c}-{d}-{e}y", path), std::nullopt);
}

TEST(Pattern, KnowsItsFirstSegment) {
    EXPECT_EQ(Pattern("/user/{id}").first_segment(), "user");
    EXPECT_EQ(Pattern("/user{id}").first_segment(), "");
    EXPECT_EQ(Pattern("/{id}/x").first_segment(), "");
    EXPECT_EQ(Pattern("/a/b").first_segment(), "a");
}

TEST(Pattern, RefusesATemplateThatMakesNoSense) {
    for (const char* wrong : {"", "user", "/{id", "/{}", "/{a}/{a}", "/{a:word}"})
        EXPECT_THROW(Pattern{wrong}, std::invalid_argument) << wrong;
}

}  // namespace
}  // namespace asioserve::app
