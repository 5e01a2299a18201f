// Blocks and the buffer of an answer.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "common/http/out_buffer.hpp"
#include "common/http/pool.hpp"

namespace asioserve::http {
namespace {

TEST(Pool, GivesBlocksOfTheSizeThatIsAskedFor) {
    BlockPool pool;
    for (const std::size_t n : {std::size_t{1}, BlockPool::small_bytes, BlockPool::small_bytes + 1,
                                BlockPool::large_bytes, BlockPool::large_bytes + 1, std::size_t{1} << 20}) {
        const BlockRef b(pool, pool.take(n));
        EXPECT_GE(b->capacity, n);
        b->data()[n - 1] = 'x';
    }
}

TEST(Pool, UsesABlockAgainOnlyWhenItsLastUserIsGone) {
    BlockPool pool;
    BlockRef a(pool, pool.take(1));
    BlockRef b = a;
    Block* const block = a.get();
    a.reset();
    BlockRef other(pool, pool.take(1));
    EXPECT_NE(other.get(), block);
    b.reset();
    const BlockRef again(pool, pool.take(1));
    EXPECT_EQ(again.get(), block);
}

TEST(OutBuffer, KeepsItsBytesInOrderWhateverItsSizes) {
    BlockPool pool;
    OutBuffer out;
    std::string model;
    std::mt19937 random(3);
    for (int i = 0; i < 3000; ++i) {
        const std::string piece(random() % (i % 100 == 0 ? 100000 : 300),
                                static_cast<char>('a' + random() % 26));
        out.append(pool, piece);
        model += piece;
        const std::size_t n = random() % (model.size() + 1);
        if (random() % 2 == 0 && n != 0) {
            ASSERT_EQ(out.view().substr(0, n), model.substr(0, n));
            out.consume(n);
            model.erase(0, n);
        }
        ASSERT_EQ(out.size(), model.size());
    }
    EXPECT_TRUE(out.view() == model);
    out.clear();
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(out.view(), "");
}

}  // namespace
}  // namespace asioserve::http
