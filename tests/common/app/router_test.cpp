#include "common/app/router.hpp"

#include <gtest/gtest.h>

#include <iterator>
#include <random>
#include <stdexcept>

namespace asioserve::app {
namespace {

class RouterTest : public testing::Test {
  protected:
    std::string find(std::string_view method, std::string_view path) {
        captures.assign(router.most_captures(), {});
        const Found found = router.find(MethodSet::id_of(method), method, path, captures);
        switch (found.what) {
            case Found::What::route:
                return std::to_string(found.route);
            case Found::What::wrong_method:
                return "wrong " + std::to_string(found.route);
            case Found::What::nothing:
                break;
        }
        return "nothing";
    }
    Router router;
    std::vector<std::string_view> captures;
};

TEST_F(RouterTest, TheFirstDeclaredWins) {
    router.add("/a/{x}", {"GET"});       // 0
    router.add("/a/b", {"GET"});         // 1: never
    router.add("/c/d", {"GET"});         // 2
    router.add("/c/{x}", {"GET"});       // 3
    router.add("/{any:path}", {"GET"});  // 4
    router.add("/late", {"GET"});        // 5: never
    EXPECT_EQ(find("GET", "/a/b"), "0");
    EXPECT_EQ(captures[0], "b");
    EXPECT_EQ(find("GET", "/c/d"), "2");
    EXPECT_EQ(find("GET", "/c/e"), "3");
    EXPECT_EQ(find("GET", "/late"), "4");
    EXPECT_EQ(find("GET", "/c/e/f"), "4");
    EXPECT_EQ(captures[0], "c/e/f");
}

TEST_F(RouterTest, AMethodMayBeInALaterRoute) {
    router.add("/x", {"GET"});
    router.add("/{y}", {"POST"});
    router.add("/x", {"PUT", "BREW"});
    EXPECT_EQ(find("GET", "/x"), "0");
    EXPECT_EQ(find("POST", "/x"), "1");
    EXPECT_EQ(find("PUT", "/x"), "2");
    EXPECT_EQ(find("BREW", "/x"), "2");
    EXPECT_EQ(find("DELETE", "/x"), "wrong 0");
    EXPECT_EQ(find("GET", "/z"), "wrong 1");
    EXPECT_EQ(find("GET", "/z/z"), "nothing");
}

TEST_F(RouterTest, GetAnswersHeadUnlessARouteAsksForIt) {
    router.add("/a", {"GET"});
    router.add("/b", {"GET"});
    router.add("/b", {"HEAD"});
    router.add("/c", {"POST"});
    EXPECT_EQ(find("HEAD", "/a"), "0");
    EXPECT_EQ(find("HEAD", "/b"), "2");
    EXPECT_EQ(find("HEAD", "/c"), "wrong 3");
}

TEST_F(RouterTest, MethodsAreToldApartExactly) {
    router.add("/a", {"GET", "PURGE"});
    EXPECT_EQ(find("get", "/a"), "wrong 0");
    EXPECT_EQ(find("PURGE", "/a"), "0");
    EXPECT_EQ(find("PURG", "/a"), "wrong 0");
}

TEST_F(RouterTest, SaysWhatAPathAllows) {
    router.add("/a", {"GET"});
    router.add("/{x}", {"POST", "GET"});
    EXPECT_EQ(router.allowed("/a"), "GET, HEAD, POST, OPTIONS");
    EXPECT_EQ(router.allowed("/b"), "POST, GET, HEAD, OPTIONS");
    EXPECT_EQ(router.allowed("/b/c"), "");
}

TEST_F(RouterTest, ThousandsOfRoutesKeepTheirOrder) {
    for (int i = 0; i < 2000; ++i)
        router.add("/p" + std::to_string(i % 1000) + "/{x}", {i < 1000 ? "GET" : "POST"});
    router.add("/{a}/{b}", {"GET"});
    for (int i = 0; i < 1000; ++i) {
        const std::string path = "/p" + std::to_string(i) + "/v";
        EXPECT_EQ(find("GET", path), std::to_string(i));
        EXPECT_EQ(find("POST", path), std::to_string(i + 1000));
    }
    EXPECT_EQ(find("GET", "/q/v"), "2000");
}

// What the tables are a shorter way to.
std::string find_in_order(const std::vector<std::pair<Pattern, std::string>>& routes, std::string_view method,
                          std::string_view path, std::span<std::string_view> captures) {
    std::string found = "nothing";
    for (std::size_t i = 0; i < routes.size(); ++i) {
        if (!routes[i].first.match(path, captures)) continue;
        if (routes[i].second == method) return std::to_string(i);
        if (found == "nothing") found = "wrong " + std::to_string(i);
    }
    return found;
}

TEST_F(RouterTest, AnyMixtureOfRoutesIsSearchedInTheirOrder) {
    constexpr const char* paths[] = {
        "/",      "/a",    "/a/",   "/a/b",     "/a/b/c",    "/longer/path/here", "/{x}",     "/a/{x}",
        "/{x}/b", "/a{x}", "/{x}/", "/{x:int}", "/{x:path}", "/a/{x:path}",       "/{x}/{y}", "/a/{x}/c"};
    std::mt19937 random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
    for (int round = 0; round < 300; ++round) {
        router = {};
        std::vector<std::pair<Pattern, std::string>> routes;
        for (auto count = random() % 12; count > 0; --count) {
            const char* path = paths[random() % std::size(paths)];
            const char* method = random() % 2 == 0 ? "GET" : "BREW";
            router.add(path, {method});
            routes.emplace_back(Pattern(path), method);
        }
        for (const char* path : {"", "/", "/a", "/a/", "/a/b", "/a/b/c", "/b", "/ab", "/7", "/b/b",
                                 "/longer/path/here", "/longer/path/herf", "//", "/a//c"})
            for (const char* method : {"GET", "BREW"}) {
                std::vector<std::string_view> expected(router.most_captures() + 1);
                EXPECT_EQ(find(method, path), find_in_order(routes, method, path, expected)) << path;
            }
    }
}

TEST_F(RouterTest, CapturesAreThoseOfTheRouteThatAnswers) {
    router.add("/a/{x}", {"PUT"});
    router.add("/{y}/b", {"POST"});
    router.add("/a/b", {"GET"});
    router.add("/{z:path}", {"GET", "BREW"});
    EXPECT_EQ(find("PUT", "/a/b"), "0");
    EXPECT_EQ(captures[0], "b");
    EXPECT_EQ(find("POST", "/a/b"), "1");
    EXPECT_EQ(captures[0], "a");
    EXPECT_EQ(find("GET", "/a/b"), "2");
    EXPECT_EQ(find("BREW", "/a/b"), "3");
    EXPECT_EQ(captures[0], "a/b");
}

TEST_F(RouterTest, OddPathsMatchNothing) {
    router.add("/a/{x}", {"GET"});
    for (const char* path : {"", "a", "*", "//", "/", "/a", "/a/", "a/b", "//a/b"})
        EXPECT_EQ(find("GET", path), "nothing") << path;
}

TEST_F(RouterTest, RefusesABrokenTemplate) {
    EXPECT_THROW(router.add("/{", {"GET"}), std::invalid_argument);
}

}  // namespace
}  // namespace asioserve::app
