#include "common/app/logging.hpp"

#include <gmock/gmock.h>

namespace asioserve::app {
namespace {

TEST(Log, WritesTextAsItIsFromItsLevelUp) {
    const Log log("warning");
    testing::internal::CaptureStderr();
    log.info("quiet");
    log.warning("100 % {} {0}\nsecond line");
    const std::string text = testing::internal::GetCapturedStderr();
    EXPECT_THAT(text, testing::HasSubstr("warning  100 % {} {0}\nsecond line\n"));
    EXPECT_THAT(text, testing::Not(testing::HasSubstr("quiet")));
}

TEST(Log, KnowsUvicornsLevels) {
    using Level = Log::Level;
    for (auto [name, lowest] : {std::pair{"trace", Level::trace},
                                {"debug", Level::debug},
                                {"info", Level::info},
                                {"warning", Level::warning},
                                {"error", Level::error},
                                {"critical", Level::critical}}) {
        const Log log(name);
        EXPECT_TRUE(log.shows(lowest)) << name;
        EXPECT_TRUE(log.shows(Level::critical)) << name;
        if (lowest != Level::trace) {
            EXPECT_FALSE(log.shows(static_cast<Level>(static_cast<int>(lowest) - 1))) << name;
        }
    }
    EXPECT_THROW(Log("loud"), std::invalid_argument);
}

}  // namespace
}  // namespace asioserve::app
