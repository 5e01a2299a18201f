#include "common/app/path_table.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace asioserve::app {
namespace {

class PathTableTest : public testing::Test {
  protected:
    void add(std::string key, std::uint32_t number) {
        keys.push_back(std::make_unique<std::string>(std::move(key)));
        table[*keys.back()].push_back(number);
    }
    // Asks with bytes of its own, which a sanitizer watches over.
    PathTable::Numbers find(std::string_view key) const {
        const std::unique_ptr<char[]> copy(new char[key.size()]);
        key.copy(copy.get(), key.size());
        const PathTable::Numbers* found = table.find({copy.get(), key.size()});
        return found == nullptr ? PathTable::Numbers{} : *found;
    }
    std::vector<std::unique_ptr<std::string>> keys;
    PathTable table;
};

using Numbers = PathTable::Numbers;

TEST_F(PathTableTest, AnEmptyOneKnowsNothing) {
    for (const char* key : {"", "/", "/a", "/abcdefgh", "/abcdefghijklmnopqrstuvwxyz"})
        EXPECT_EQ(table.find(key), nullptr);
}

TEST_F(PathTableTest, TheEmptyTextIsAKey) {
    EXPECT_EQ(find(""), Numbers{});
    add("", 7);
    EXPECT_EQ(find(""), Numbers{7});
    EXPECT_EQ(find(std::string_view("\0", 1)), Numbers{});
}

TEST_F(PathTableTest, EqualKeysShareTheirNumbers) {
    add("/a", 1);
    add("/b", 2);
    add("/a", 3);
    EXPECT_EQ(find("/a"), (Numbers{1, 3}));
    EXPECT_EQ(find("/b"), Numbers{2});
    EXPECT_EQ(table.entries().size(), 2U);
}

TEST_F(PathTableTest, EveryByteOfEveryLengthCounts) {
    for (std::size_t size = 1; size < 40; ++size) {
        const std::string key(size, 'x');
        add(key, static_cast<std::uint32_t>(size));
        for (std::size_t at = 0; at < size; ++at)
            for (const char other : {'y', 'X', '\0', '\xff'}) {
                std::string near = key;
                near[at] = other;
                EXPECT_EQ(find(near), Numbers{}) << size << " " << at;
            }
    }
    for (std::size_t size = 1; size < 40; ++size)
        EXPECT_EQ(find(std::string(size, 'x')), Numbers{static_cast<std::uint32_t>(size)});
}

TEST_F(PathTableTest, ThousandsOfKeysThatDifferInAFewBytesAreAllFound) {
    const auto key = [](int i) { return "/api/v1/things/" + std::to_string(i) + "/of/a/long/and/equal/end"; };
    constexpr int count = 20000;
    for (int i = 0; i < count; ++i) add(key(i), static_cast<std::uint32_t>(i));
    for (int i = 0; i < count; ++i) EXPECT_EQ(find(key(i)), Numbers{static_cast<std::uint32_t>(i)});
    for (int i = count; i < 2 * count; ++i) EXPECT_EQ(find(key(i)), Numbers{});
}

}  // namespace
}  // namespace asioserve::app
