#include "common/app/router.hpp"

#include <gtest/gtest.h>

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
