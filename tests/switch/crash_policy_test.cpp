#include "fallback_switch/crash_policy.hpp"

#include <gtest/gtest.h>

namespace asioserve::fallback {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = CrashPolicy::Clock::time_point;

constexpr Time begin{};

TEST(CrashPolicy, LoneCrashCostsNoWait) {
    CrashPolicy policy(5, seconds(60));
    EXPECT_EQ(policy.record(begin), milliseconds(0));
}

TEST(CrashPolicy, WaitsGrowUpToALimit) {
    CrashPolicy policy(100, seconds(60));
    EXPECT_EQ(policy.record(begin), milliseconds(0));
    EXPECT_EQ(policy.record(begin), milliseconds(100));
    EXPECT_EQ(policy.record(begin), milliseconds(200));
    EXPECT_EQ(policy.record(begin), milliseconds(400));
    for (int i = 0; i < 50; ++i) policy.record(begin);
    EXPECT_EQ(policy.record(begin), milliseconds(5'000));
}

TEST(CrashPolicy, OneMoreThanAllowedIsTooMany) {
    CrashPolicy policy(2, seconds(60));
    EXPECT_TRUE(policy.record(begin));
    EXPECT_TRUE(policy.record(begin + seconds(30)));
    EXPECT_FALSE(policy.record(begin + seconds(60)));
    EXPECT_EQ(policy.count(), 3);
}

TEST(CrashPolicy, ExitsBeforeTheWindowAreForgotten) {
    CrashPolicy policy(2, seconds(60));
    EXPECT_TRUE(policy.record(begin));
    EXPECT_TRUE(policy.record(begin + seconds(30)));
    EXPECT_TRUE(policy.record(begin + seconds(61)));
    EXPECT_EQ(policy.record(begin + seconds(500)), milliseconds(0));
}

TEST(CrashPolicy, NoneAllowedMeansTheFirstIsTooMany) {
    EXPECT_FALSE(CrashPolicy(0, seconds(60)).record(begin));
}

TEST(CrashPolicy, AnotherStageBeginsWithACleanSheet) {
    CrashPolicy policy(1, seconds(60));
    EXPECT_TRUE(policy.record(begin));
    policy.forget();
    EXPECT_EQ(policy.record(begin), milliseconds(0));
}

}  // namespace
}  // namespace asioserve::fallback
