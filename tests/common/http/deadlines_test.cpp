// The wheel of deadlines under a clock that the test steps.
#include "common/http/deadlines.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace asioserve::http {
namespace {

struct Wheel : ::testing::Test {
    std::vector<Deadlines::Node*> advance(Millis to) {
        std::vector<Deadlines::Node*> expired;
        now = to;
        wheel.advance(to, [&](Deadlines::Node& n) { expired.push_back(&n); });
        return expired;
    }
    Millis now = 1'000'000;
    Deadlines wheel{now};
};

TEST_F(Wheel, ExpiresNeitherEarlyNorMoreThanATickLate) {
    for (const Millis in : {1, 49, 50, 51, 1000, 5000, 12799, 12800, 13000, 30000, 3600000}) {
        Deadlines::Node n;
        wheel.set(n, now + in);
        const Millis deadline = now + in;
        while (now < deadline - 1) {
            const Millis step = std::min<Millis>(deadline - 1, std::max(wheel.next_due(), now + 1));
            ASSERT_TRUE(advance(step).empty()) << in;
        }
        EXPECT_EQ(advance(deadline + Deadlines::tick), std::vector{&n}) << in;
    }
}

TEST_F(Wheel, MovesADeadlineIntoTheFutureWithoutQueueingIt) {
    Deadlines::Node n;
    wheel.set(n, now + 1000);
    const Millis due = n.due;
    wheel.set(n, now + 5000);
    EXPECT_EQ(n.due, due);
    EXPECT_TRUE(advance(now + 4900).empty());
    EXPECT_EQ(advance(now + 200), std::vector{&n});
}

TEST_F(Wheel, MovesADeadlineForward) {
    Deadlines::Node n;
    wheel.set(n, now + 30000);
    wheel.set(n, now + 100);
    EXPECT_EQ(advance(now + 150), std::vector{&n});
}

TEST_F(Wheel, TakesADeadlineBack) {
    Deadlines::Node n;
    wheel.set(n, now + 100);
    wheel.set(n, never);
    EXPECT_TRUE(advance(now + 1000).empty());
    EXPECT_EQ(wheel.next_due(), never);
    wheel.set(n, now + 100);
    wheel.remove(n);
    EXPECT_TRUE(advance(now + 1000).empty());
    wheel.remove(n);
    EXPECT_EQ(wheel.next_due(), never);
}

TEST_F(Wheel, SaysWhenToLookAgain) {
    EXPECT_EQ(wheel.next_due(), never);
    Deadlines::Node n;
    wheel.set(n, now + 777);
    EXPECT_GE(wheel.next_due(), now + 777);
    EXPECT_LE(wheel.next_due(), now + 777 + Deadlines::tick);
    advance(wheel.next_due());
    EXPECT_EQ(wheel.next_due(), never);
}

TEST_F(Wheel, BearsChangesFromInsideACall) {
    Deadlines::Node a, b, c;
    for (Deadlines::Node* n : {&a, &b, &c}) wheel.set(*n, now + 100);
    int calls = 0;
    wheel.advance(now + 200, [&](Deadlines::Node& n) {
        ++calls;
        for (Deadlines::Node* other : {&a, &b, &c})
            if (other != &n) wheel.remove(*other);
        wheel.set(n, now + 1000);
    });
    EXPECT_EQ(calls, 1);
    int later = 0;
    wheel.advance(now + 1100, [&](Deadlines::Node&) { ++later; });
    EXPECT_EQ(later, 1);
}

TEST_F(Wheel, AgreesWithASimpleModel) {
    std::mt19937 random(7);
    std::vector<Deadlines::Node> nodes(50);
    std::map<Deadlines::Node*, Millis> model;
    for (int i = 0; i < 20000; ++i) {
        Deadlines::Node& n = nodes[random() % nodes.size()];
        switch (random() % 4) {
            case 0:
            case 1: {
                const Millis at = now + static_cast<Millis>(random() % 40000);
                wheel.set(n, at);
                model[&n] = at;
                break;
            }
            case 2:
                wheel.remove(n);
                model.erase(&n);
                break;
            default: {
                const Millis to = now + static_cast<Millis>(random() % (random() % 50 == 0 ? 60000 : 300));
                for (Deadlines::Node* e : advance(to)) {
                    ASSERT_TRUE(model.contains(e));
                    ASSERT_LE(model[e], to);
                    model.erase(e);
                }
                for (const auto& [node, deadline] : model) ASSERT_GT(deadline + Deadlines::tick, to);
            }
        }
    }
}

}  // namespace
}  // namespace asioserve::http
