#include "common/app/env_file.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

namespace asioserve::app {
namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

Variables parse(std::string_view text, std::map<std::string, std::string> outside = {}) {
    return parse_env(text, "test.env", [&](const std::string& name) -> std::optional<std::string> {
        auto found = outside.find(name);
        if (found == outside.end()) return std::nullopt;
        return found->second;
    });
}

std::string refusal(std::string_view text) {
    try {
        parse(text);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "accepted";
}

TEST(EnvFile, TakesNamesAndBareValues) {
    EXPECT_EQ(parse("A=1\n\n  B = two words  \r\nexport C=3\nD=\n# no\nE=x#y # comment\n\tF=1"),
              (Variables{{"A", "1"}, {"B", "two words"}, {"C", "3"}, {"D", ""}, {"E", "x#y"}, {"F", "1"}}));
}

TEST(EnvFile, TakesAVariableCalledExport) {
    EXPECT_EQ(parse("export=1"), (Variables{{"export", "1"}}));
}

TEST(EnvFile, StopsAtTheEndOfAnEmptyValue) {
    EXPECT_EQ(parse("A= # nothing\nB=\nC=1"), (Variables{{"A", ""}, {"B", ""}, {"C", "1"}}));
}

TEST(EnvFile, PassesOverAByteOrderMark) {
    EXPECT_EQ(parse("\xef\xbb\xbf"
                    "A=1"),
              (Variables{{"A", "1"}}));
}

TEST(EnvFile, KeepsSingleQuotedTextAsItIs) {
    EXPECT_EQ(parse("A='x \\n ${B} # \"y\"' # comment\n"), (Variables{{"A", "x \\n ${B} # \"y\""}}));
}

TEST(EnvFile, KnowsEscapesInDoubleQuotes) {
    EXPECT_EQ(parse(R"(A="a\tb\n\"c\" \\ \$ \q")"), (Variables{{"A", "a\tb\n\"c\" \\ $ \\q"}}));
}

TEST(EnvFile, LetsQuotedTextSpanLines) {
    EXPECT_EQ(parse("A=\"one\ntwo\"\nB='x\ny'\nC=1"),
              (Variables{{"A", "one\ntwo"}, {"B", "x\ny"}, {"C", "1"}}));
}

TEST(EnvFile, ReplacesVariables) {
    EXPECT_EQ(parse("A=1\nB=${A}-${OUT}-${NONE}-${NONE:-d}\nC=\"${B}\"\nD=$A $", {{"OUT", "o"}}),
              (Variables{{"A", "1"}, {"B", "1-o--d"}, {"C", "1-o--d"}, {"D", "$A $"}}));
}

TEST(EnvFile, PrefersTheEnvironmentWhenItReplaces) {
    EXPECT_EQ(parse("A=file\nB=${A}", {{"A", "outside"}}), (Variables{{"A", "file"}, {"B", "outside"}}));
}

TEST(EnvFile, NamesTheLineOfAMistake) {
    EXPECT_EQ(refusal("A=1\nnonsense\n"), "test.env:2: expected NAME=value");
    EXPECT_EQ(refusal("\n\nA=\"x\ny"), "test.env:3: a quote is not closed");
    EXPECT_EQ(refusal("A='x' y"), "test.env:1: text behind the closing quote");
    EXPECT_EQ(refusal("A=${B"), "test.env:1: ${ is not closed");
    EXPECT_EQ(refusal("=1"), "test.env:1: expected NAME=value");
    EXPECT_EQ(refusal(std::string_view("A=\0", 3)), "test.env:1: a value cannot have a NUL");
}

TEST(EnvFile, LeavesWhatIsSetAndLetsTheLastOneCount) {
    const auto path =
        std::filesystem::temp_directory_path() / ("asioserve-env-" + std::to_string(::getpid()));
    std::ofstream(path) << "ASIOSERVE_T_SET=file\nASIOSERVE_T_NEW=first\nASIOSERVE_T_NEW=last\n";
    ::setenv("ASIOSERVE_T_SET", "before", 1);
    ::unsetenv("ASIOSERVE_T_NEW");
    load_env_file(path);
    std::filesystem::remove(path);
    EXPECT_STREQ(std::getenv("ASIOSERVE_T_SET"), "before");
    EXPECT_STREQ(std::getenv("ASIOSERVE_T_NEW"), "last");
}

TEST(EnvFile, SaysWhichFileCannotBeRead) {
    try {
        load_env_file("/no/such/file");
        FAIL() << "it was read";
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "--env-file: cannot read /no/such/file: No such file or directory");
    }
}

}  // namespace
}  // namespace asioserve::app
