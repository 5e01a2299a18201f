#include "common/options/parse.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace asioserve::options {
namespace {

using std::chrono::milliseconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using testing::StartsWith;

ParseResult run(std::vector<std::string> arguments, Program program = Program::stage) {
    std::vector<const char*> argv{"/somewhere/stage3_server"};
    for (const std::string& one : arguments) argv.push_back(one.c_str());
    return parse(static_cast<int>(argv.size()), argv.data(), program, "stage3_server 1.2.3");
}

/// Options that must be fine.
Options good(std::vector<std::string> arguments, Program program = Program::stage) {
    const ParseResult result = run(std::move(arguments), program);
    EXPECT_TRUE(result.run) << result.text;
    EXPECT_EQ(result.text, "");
    return result.options;
}

/// The line that a mistake gets.
std::string bad(std::vector<std::string> arguments, Program program = Program::stage) {
    const ParseResult result = run(std::move(arguments), program);
    EXPECT_FALSE(result.run);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.text.find('\n'), result.text.size() - 1) << "one line: " << result.text;
    EXPECT_THAT(result.text, StartsWith("stage3_server: "));
    return result.text;
}

/// A variable of the environment, for a scope.
class Variable {
  public:
    Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
    ~Variable() { ::unsetenv(name_); }

  private:
    const char* name_;
};

/// A config file, for a scope.
class File {
  public:
    explicit File(const std::string& text)
        : path_(testing::TempDir() + "options_test." + std::to_string(::getpid())) {
        std::ofstream(path_) << text;
    }
    ~File() { std::filesystem::remove(path_); }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

TEST(Options, DefaultsAreUvicorns) {
    const Options o = good({"app:app"});
    EXPECT_EQ(o.app, "app:app");
    EXPECT_EQ(o.listening.host, "127.0.0.1");
    EXPECT_EQ(o.listening.port, 8000);
    EXPECT_EQ(o.listening.backlog, 2048);
    EXPECT_TRUE(o.listening.tcp());
    EXPECT_EQ(o.limits.keep_alive, milliseconds(5'000));
    EXPECT_EQ(o.limits.body_bytes, 100u << 20);
    EXPECT_EQ(o.limits.head_bytes, 64u << 10);
    EXPECT_EQ(o.limits.drain_time, milliseconds(30'000));
    EXPECT_EQ(o.sync, Sync::in_line);
    EXPECT_EQ(o.log_level, "info");
    EXPECT_TRUE(o.access_log);
    EXPECT_TRUE(o.server_header);
    EXPECT_EQ(o.supervisor_fd, -1);
}

TEST(Options, EachFlagArrives) {
    const Options o = good({"--host=::",
                            "--port",
                            "0",
                            "--backlog",
                            "7",
                            "--app-dir",
                            "d",
                            "--factory",
                            "--log-level",
                            "trace",
                            "--no-access-log",
                            "--limit-head",
                            "8KiB",
                            "--limit-body",
                            "0",
                            "--limit-connections",
                            "9",
                            "--limit-pipelined",
                            "3",
                            "--limit-send-buffer",
                            "4KiB",
                            "--timeout-keep-alive",
                            "0",
                            "--timeout-header",
                            "1m30s",
                            "--timeout-body",
                            "250ms",
                            "--timeout-write",
                            "2",
                            "--timeout-graceful-shutdown",
                            "1h",
                            "--header",
                            "A: b",
                            "--header=C:d",
                            "--no-server-header",
                            "--no-date-header",
                            "--env-file",
                            "e",
                            "--metrics-path",
                            "/m",
                            "--status-path",
                            "/s",
                            "--sync",
                            "pool",
                            "--python",
                            "v",
                            "--isolated",
                            "--no-gc-freeze",
                            "--supervisor-fd",
                            "5",
                            "--fault-proof",
                            "--fault-proof-hang",
                            "--fault-crash-after",
                            "6",
                            "--fault-hang-after",
                            "8",
                            "a:b"});
    EXPECT_EQ(o.app, "a:b");
    EXPECT_EQ(o.listening.host, "::");
    EXPECT_EQ(o.listening.port, 0);
    EXPECT_EQ(o.listening.backlog, 7);
    EXPECT_EQ(o.app_dir, "d");
    EXPECT_TRUE(o.factory);
    EXPECT_EQ(o.log_level, "trace");
    EXPECT_FALSE(o.access_log);
    EXPECT_EQ(o.limits.head_bytes, 8192u);
    EXPECT_EQ(o.limits.body_bytes, 0u);
    EXPECT_EQ(o.limits.connections, 9u);
    EXPECT_EQ(o.limits.pipelined, 3u);
    EXPECT_EQ(o.limits.send_buffer_bytes, 4096u);
    EXPECT_EQ(o.limits.keep_alive, milliseconds(0));
    EXPECT_EQ(o.limits.header_time, milliseconds(90'000));
    EXPECT_EQ(o.limits.body_time, milliseconds(250));
    EXPECT_EQ(o.limits.write_time, milliseconds(2'000));
    EXPECT_EQ(o.limits.drain_time, milliseconds(3'600'000));
    EXPECT_THAT(o.headers, ElementsAre(Pair("A", "b"), Pair("C", "d")));
    EXPECT_FALSE(o.server_header);
    EXPECT_FALSE(o.date_header);
    EXPECT_EQ(o.env_file, "e");
    EXPECT_EQ(o.metrics_path, "/m");
    EXPECT_EQ(o.status_path, "/s");
    EXPECT_EQ(o.sync, Sync::pool);
    EXPECT_EQ(o.python, "v");
    EXPECT_TRUE(o.isolated);
    EXPECT_FALSE(o.gc_freeze);
    EXPECT_EQ(o.supervisor_fd, 5);
    EXPECT_TRUE(o.faults.proof);
    EXPECT_TRUE(o.faults.proof_hang);
    EXPECT_EQ(o.faults.crash_after, 6u);
    EXPECT_EQ(o.faults.hang_after, 8u);
}

TEST(Options, ARepeatableFlagDoesNotSwallowTheApp) {
    const Options o = good({"--fd", "3", "--fd", "4", "app:app"});
    EXPECT_THAT(o.listening.fds, ElementsAre(3, 4));
    EXPECT_EQ(o.app, "app:app");
    EXPECT_FALSE(o.listening.tcp());
    EXPECT_EQ(good({"--header", "a: b", "app:app"}).app, "app:app");
}

TEST(Options, TheLastOfSeveralWins) {
    EXPECT_EQ(good({"a:b", "--port", "1", "--port", "2"}).listening.port, 2);
    EXPECT_TRUE(good({"a:b", "--no-access-log", "--access-log"}).access_log);
}

TEST(Options, WhatFollowsTwoDashesIsTheApps) {
    const Options o = good({"a:b", "--", "--port", "x", "--"});
    EXPECT_THAT(o.app_arguments, ElementsAre("--port", "x", "--"));
    EXPECT_EQ(o.listening.port, 8000);
}

TEST(Options, MistakesAreNamedInOneLine) {
    EXPECT_THAT(bad({}), HasSubstr("APP is missing"));
    EXPECT_THAT(bad({""}), HasSubstr("APP is missing"));
    EXPECT_THAT(bad({"a:b", "c:d"}), HasSubstr("c:d"));
    EXPECT_THAT(bad({"a:b", "--prot", "1"}), HasSubstr("unknown flag --prot"));
    EXPECT_THAT(bad({"a:b", "--stage", "1"}), HasSubstr("unknown flag --stage"));
    EXPECT_THAT(bad({"a:b", "--port"}), HasSubstr("--port"));
    for (const auto& [flag, value] :
         std::vector<std::pair<std::string, std::string>>{{"--port", "65536"},
                                                          {"--port", "-1"},
                                                          {"--port", "80x"},
                                                          {"--port", ""},
                                                          {"--port", "1e3"},
                                                          {"--fd", "x"},
                                                          {"--fd", "-1"},
                                                          {"--backlog", "0"},
                                                          {"--host", ""},
                                                          {"--uds", ""},
                                                          {"--log-level", "loud"},
                                                          {"--sync", "thread"},
                                                          {"--limit-body", "1K"},
                                                          {"--limit-head", "0"},
                                                          {"--limit-head", "1"},
                                                          {"--limit-pipelined", "0"},
                                                          {"--timeout-body", "1h1h"},
                                                          {"--header", "nothing"},
                                                          {"--header", "a: b\r\nc: d"},
                                                          {"--header", "Content-Length: 5"},
                                                          {"--status-path", "status"},
                                                          {"--metrics-path", "/a b"},
                                                          {"--supervisor-fd", "-2"},
                                                          {"--fault-crash-after", "x"}})
        EXPECT_THAT(bad({"a:b", std::string(flag).append("=").append(value)}), HasSubstr(flag)) << value;
}

TEST(Options, HelpAndVersionAreNoMistakes) {
    const ParseResult help = run({"--help"});
    EXPECT_FALSE(help.run);
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(help.text, HasSubstr("block the I/O thread"));
    EXPECT_THAT(help.text, Not(HasSubstr("supervisor-fd")));
    EXPECT_THAT(help.text, Not(HasSubstr("--fault-")));
    EXPECT_THAT(help.text, Not(HasSubstr("--fallback")));
    EXPECT_THAT(run({"--help"}, Program::asioserve).text, HasSubstr("--fallback"));
    EXPECT_EQ(run({"--version"}).text, "stage3_server 1.2.3\n");
}

TEST(Environment, GivesWhatTheCommandLineDoesNot) {
    const Variable app("ASIOSERVE_APP", "v:app");
    const Variable port("ASIOSERVE_PORT", "81");
    const Variable log("ASIOSERVE_ACCESS_LOG", "false");
    EXPECT_EQ(good({}).app, "v:app");
    EXPECT_EQ(good({}).listening.port, 81);
    EXPECT_FALSE(good({}).access_log);
    EXPECT_EQ(good({"--port", "82"}).listening.port, 82);
    EXPECT_EQ(good({"w:app"}).app, "w:app");
}

TEST(Environment, MistakesNameTheVariable) {
    const Variable port("ASIOSERVE_PORT", "x");
    EXPECT_THAT(bad({"a:b"}), HasSubstr("ASIOSERVE_PORT"));
}

TEST(Environment, HiddenFlagsAreNotInIt) {
    const Variable fd("ASIOSERVE_SUPERVISOR_FD", "3");
    const Variable fault("ASIOSERVE_FAULT_PROOF", "true");
    EXPECT_EQ(good({"a:b"}).supervisor_fd, -1);
    EXPECT_FALSE(good({"a:b"}).faults.proof);
}

TEST(ConfigFile, GivesWhatCommandLineAndEnvironmentDoNot) {
    const File file(
        "# a comment\napp = \"f:app\"\nport = 81\nbacklog = 5\nheader = [\"a: b, c\", \"d: e\"]\n"
        "access-log = false\ntimeout-header = \"1h30m\"\nhost = '::1'\n");
    const Variable backlog("ASIOSERVE_BACKLOG", "6");
    const Options o = good({"--config", file.path(), "--host", "::2"});
    EXPECT_EQ(o.app, "f:app");
    EXPECT_EQ(o.listening.port, 81);
    EXPECT_EQ(o.listening.backlog, 6);
    EXPECT_EQ(o.listening.host, "::2");
    EXPECT_FALSE(o.access_log);
    EXPECT_EQ(o.limits.header_time, milliseconds(5'400'000));
    EXPECT_THAT(o.headers, ElementsAre(Pair("a", "b, c"), Pair("d", "e")));
}

TEST(ConfigFile, CanBeNamedByTheEnvironment) {
    const File file("port = 81\n");
    const Variable config("ASIOSERVE_CONFIG", file.path().c_str());
    EXPECT_EQ(good({"a:b"}).listening.port, 81);
}

TEST(ConfigFile, MistakesInItAreErrors) {
    const auto with = [](const std::string& text) {
        const File file(text);
        return bad({"a:b", "--config", file.path()});
    };
    EXPECT_THAT(with("prot = 1\n"), HasSubstr("prot"));
    EXPECT_THAT(with("[section]\nport = 1\n"), HasSubstr("section"));
    EXPECT_THAT(with("port = 1\nhost = \"::\"\nport = 2\n"), HasSubstr("port"));
    EXPECT_THAT(with("port = 1, 2\n"), HasSubstr("port"));
    EXPECT_THAT(with("port = eighty\n"), HasSubstr("config file"));
    EXPECT_THAT(with("access-log = maybe\n"), HasSubstr("access-log"));
    EXPECT_THAT(with("help = true\n"), HasSubstr("help"));
    EXPECT_THAT(with("config = \"other\"\n"), HasSubstr("config"));
    EXPECT_THAT(bad({"a:b", "--config", "/does/not/exist"}), HasSubstr("/does/not/exist"));
    const Variable config("ASIOSERVE_CONFIG", "/does/not/exist");
    EXPECT_THAT(bad({"a:b"}), HasSubstr("/does/not/exist"));
}

TEST(Supervisor, HasFlagsOfItsOwn) {
    const Supervision s =
        good({"a:b", "--stage", "2", "--fallback", "2,3,1", "--proof-timeout", "1m", "--beat-timeout", "2",
              "--max-crashes", "0", "--crash-window", "1d", "--pid-file", "/p", "--fault-stage", "3"},
             Program::asioserve)
            .supervision;
    EXPECT_EQ(s.stage, 2);
    EXPECT_THAT(s.fallback, ElementsAre(3, 1)) << "the stage is no fallback for itself";
    EXPECT_EQ(s.proof_time, milliseconds(60'000));
    EXPECT_EQ(s.beat_time, milliseconds(2'000));
    EXPECT_EQ(s.max_crashes, 0);
    EXPECT_EQ(s.crash_window, milliseconds(86'400'000));
    EXPECT_EQ(s.pid_file, "/p");
    EXPECT_EQ(s.control, "/p.control");
    EXPECT_EQ(s.fault_stage, 3);
    EXPECT_THAT(good({"a:b", "--fallback", "none"}, Program::asioserve).supervision.fallback, ElementsAre());
    EXPECT_THAT(good({"a:b"}, Program::asioserve).supervision.fallback, ElementsAre(2, 1));
    for (const char* list : {"", "4", "0", "1,1", "1,", "none,1", "a"})
        EXPECT_THAT(bad({"a:b", std::string("--fallback=") + list}, Program::asioserve),
                    HasSubstr("--fallback"))
            << list;
}

TEST(Supervisor, HandsOnWhatConcernsAServerWhereverItWasSet) {
    const File file("timeout-body = \"5s\"\nport = 1\n");
    const Variable sync("ASIOSERVE_SYNC", "pool");
    const ParseResult result =
        run({"a:b", "--config", file.path(), "--uds", "/s", "--no-access-log", "--header", "a: b", "--header",
             "c: d", "--stage", "1", "--fault-crash-after", "3"},
            Program::asioserve);
    ASSERT_TRUE(result.run) << result.text;
    std::vector<std::string> flags;
    for (const auto& [name, value] : result.hand_on)
        flags.push_back(std::string(name).append("=").append(value));
    EXPECT_THAT(flags, testing::UnorderedElementsAre("timeout-body=5s", "sync=pool", "access-log=false",
                                                     "header=a: b", "header=c: d", "fault-crash-after=3"));
    // And a server understands it.
    std::vector<std::string> again{"a:b"};
    for (const std::string& flag : flags) again.push_back("--" + flag);
    const Options o = good(again);
    EXPECT_FALSE(o.access_log);
    EXPECT_EQ(o.headers.size(), 2u);
    EXPECT_EQ(o.faults.crash_after, 3u);
}

TEST(Supervisor, KeepsItsOwnVariablesFromItsServers) {
    const auto names = variables_of_the_supervisor();
    for (const char* name : {"ASIOSERVE_APP", "ASIOSERVE_CONFIG", "ASIOSERVE_PORT", "ASIOSERVE_UDS",
                             "ASIOSERVE_FD", "ASIOSERVE_STAGE", "ASIOSERVE_PID_FILE"})
        EXPECT_THAT(names, Contains(name));
    EXPECT_THAT(names, Not(Contains("ASIOSERVE_LOG_LEVEL")));
    EXPECT_THAT(names, Not(Contains("ASIOSERVE_STAGE_DIR")));
}

}  // namespace
}  // namespace asioserve::options
