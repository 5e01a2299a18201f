#include "fallback_switch/messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

namespace asioserve::fallback {
namespace {

using testing::ElementsAre;

std::vector<Message> all(MessageReader& reader) {
    std::vector<Message> found;
    while (const auto message = reader.next()) found.push_back(*message);
    return found;
}

TEST(MessageReader, KnowsEachWord) {
    MessageReader reader;
    reader.append("importing\nimported\nproving\nproved\nfailed startup\nready\nbeat\nleaving\n");
    EXPECT_THAT(all(reader),
                ElementsAre(Message::importing, Message::imported, Message::proving, Message::proved,
                            Message::failed_startup, Message::ready, Message::beat, Message::leaving));
}

TEST(MessageReader, WaitsForTheWholeLine) {
    MessageReader reader;
    for (const char c : std::string("rea")) reader.append({&c, 1});
    EXPECT_EQ(reader.next(), std::nullopt);
    reader.append("dy\nbe");
    EXPECT_THAT(all(reader), ElementsAre(Message::ready));
    reader.append("at\n");
    EXPECT_THAT(all(reader), ElementsAre(Message::beat));
}

TEST(MessageReader, PassesOverWhatItDoesNotKnow) {
    MessageReader reader;
    reader.append("\nready now\n ready\nREADY\nbeat\n");
    EXPECT_THAT(all(reader), ElementsAre(Message::beat));
}

TEST(MessageReader, GarbageWithoutEndTakesNoMemoryAndDoesNotHideWhatFollows) {
    MessageReader reader;
    for (int i = 0; i < 10'000; ++i) reader.append(std::string(1'000, 'x'));
    EXPECT_EQ(reader.next(), std::nullopt);
    reader.append("\nready\n");
    EXPECT_THAT(all(reader), ElementsAre(Message::ready));
}

// As wait() encodes them on Linux: the code in the second byte, the signal in the first.
TEST(Exits, AreDescribed) {
    EXPECT_EQ(describe_exit(3 << 8), "exited with code 3");
    EXPECT_EQ(describe_exit(SIGABRT), "was killed by signal 6 (Aborted)");
    EXPECT_EQ(exit_code_of(3 << 8), 3);
    EXPECT_EQ(exit_code_of(SIGKILL), 137);
}

}  // namespace
}  // namespace asioserve::fallback
