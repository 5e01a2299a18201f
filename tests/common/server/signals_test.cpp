// Each test runs in a process of its own, as a signal ends it: GoogleTest's death tests (threadsafe style)
// fork, exec and look at the exit code.
#include "common/app/signals.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "common/python/errors.hpp"
#include "common/python/interpreter.hpp"

#if defined(__clang__)
// The program's main() holds the GIL for all of its tests, which the analysis cannot follow.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

namespace asioserve::app {
namespace {

using std::chrono::milliseconds;

/// What run_server has when it installs signals.
struct Process {
    explicit Process(Signals::Options options = {})
        : signals(io, options),
          python({.python = "", .argv = {"test"}, .path_front = {}, .isolated = false}) {
        signals.watch([this](int signo) { first = signo; });
    }
    /// One turn of the I/O thread; ends the process when nothing comes.
    void turn() {
        if (io.run_one_for(std::chrono::seconds(10)) == 0) ::_exit(90);
        io.restart();
    }
    void run(const char* program) {
        if (PyRun_SimpleString(program) != 0) ::_exit(91);
    }

    asio::io_context io;
    Signals signals;
    py::Interpreter python;
    int first = 0;
};

class SignalsDeathTest : public testing::Test {
  protected:
    void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

void expect(bool condition, int line) {
    if (!condition) {
        std::fprintf(stderr, "line %d\n", line);
        ::_exit(92);
    }
}
#define CHECK(condition) expect(condition, __LINE__)

#define EXPECT_EXIT_CODE(code, ...) EXPECT_EXIT({__VA_ARGS__}, testing::ExitedWithCode(code), "")

void first_is_told() {
    for (int signo : {SIGINT, SIGTERM}) {
        Process p;
        p.signals.install();
        ::raise(signo);
        p.turn();
        CHECK(p.first == signo);
        CHECK(p.signals.received() == signo);
    }
    ::_exit(0);
}

void second_ends() {
    Process p;
    p.signals.install();
    ::raise(SIGINT);
    ::raise(SIGTERM);
    ::_exit(0);
}

void supervised_pair_is_one_wish() {
    Process p({.supervised = true});
    p.signals.install();
    ::raise(SIGINT);
    ::raise(SIGTERM);
    p.turn();
    CHECK(p.first == SIGINT);
    ::raise(SIGTERM);
    ::_exit(0);
}

void deadline_ends() {
    Process p({.drain_time = milliseconds(0)});
    p.signals.install();
    p.signals.deadline(milliseconds(20), 7);
    for (;;) ::pause();
}

void deadline_follows_the_first_signal() {
    // The I/O thread never gets to see it: a loop that hangs.
    Process p({.drain_time = milliseconds(0)});
    p.signals.install();
    ::raise(SIGTERM);
    for (;;) ::pause();
}

void no_deadline() {
    Process p;
    p.signals.deadline(milliseconds(50), 7);
    p.signals.no_deadline();
    ::usleep(150'000);  // waits: for a deadline that must not come
    ::_exit(0);
}

void chains_to_the_app() {
    Process p;
    p.run("import signal\nseen = []\nsignal.signal(signal.SIGTERM, lambda *a: seen.append(a[0]))\n");
    p.signals.install();
    ::raise(SIGTERM);
    p.run("assert seen == [15], seen\n");
    p.turn();
    CHECK(p.first == SIGTERM);
    ::_exit(0);
}

void app_that_comes_later_wins() {
    Process p;
    p.signals.install();
    p.run("import signal\nseen = []\nold = signal.signal(signal.SIGTERM, lambda *a: seen.append(a[0]))\n");
    ::raise(SIGTERM);
    p.run("assert seen == [15], seen\n");
    CHECK(p.signals.received() == 0);
    // And what it found drains.
    p.run("old(15, None)\n");
    p.turn();
    CHECK(p.first == SIGTERM);
    ::_exit(0);
}

void runner_leaves_sigint_alone() {
    Process p;
    p.signals.install();
    p.run(
        "import asyncio, os, signal\n"
        "async def main(): os.kill(os.getpid(), signal.SIGINT); await asyncio.sleep(0.01)\n"
        "asyncio.run(main())\n");
    p.turn();
    CHECK(p.first == SIGINT);
    ::_exit(0);
}

void forked_child_is_on_its_own() {
    Process p;
    p.signals.install();
    p.run(
        "import os, signal, sys\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    code = 1\n"
        "    try:\n"
        "        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        while True: signal.pause()\n"
        "    except KeyboardInterrupt:\n"
        "        code = 42\n"
        "    os._exit(code)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42\n");
    // A fork that Python does not know of: the signal takes its usual way, and not our pipe.
    const pid_t child = ::fork();
    if (child == 0) {
        ::raise(SIGTERM);
        ::_exit(1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK(p.io.poll() == 0);
    CHECK(p.signals.received() == 0);
    ::_exit(0);
}

void a_wish_outlives_python() {
    {
        Process p({.supervised = true});
        p.signals.install();
        ::raise(SIGINT);
        p.signals.outlive_python();
        CHECK(p.python.finalise());
        ::raise(SIGTERM);
    }
    ::raise(SIGTERM);
    ::_exit(0);
}

void a_later_handler_of_the_app_goes_with_python() {
    Process p;
    p.signals.install();
    p.run("import signal\nsignal.signal(signal.SIGTERM, lambda *a: None)\n");
    p.signals.outlive_python();
    CHECK(p.python.finalise());
    struct sigaction now {};
    ::sigaction(SIGTERM, nullptr, &now);
    CHECK(now.sa_handler == SIG_DFL);
    ::_exit(0);
}

TEST_F(SignalsDeathTest, TheFirstIsToldToTheIoThread) {
    EXPECT_EXIT_CODE(0, first_is_told(););
}
TEST_F(SignalsDeathTest, TheSecondEndsTheProcess) {
    EXPECT_EXIT_CODE(128 + SIGTERM, second_ends(););
}
TEST_F(SignalsDeathTest, UnderASupervisorOneOfEachIsOneWish) {
    EXPECT_EXIT_CODE(128 + SIGTERM, supervised_pair_is_one_wish(););
}
TEST_F(SignalsDeathTest, ADeadlineEndsTheProcess) {
    EXPECT_EXIT_CODE(7, deadline_ends(););
}
TEST_F(SignalsDeathTest, ALoopThatHangsIsEndedInTheEnd) {
    EXPECT_EXIT_CODE(1, deadline_follows_the_first_signal(););
}
TEST_F(SignalsDeathTest, ADeadlineCanBeTakenBack) {
    EXPECT_EXIT_CODE(0, no_deadline(););
}
TEST_F(SignalsDeathTest, AHandlerOfTheAppIsCalledToo) {
    EXPECT_EXIT_CODE(0, chains_to_the_app(););
}
TEST_F(SignalsDeathTest, AHandlerThatComesLaterWins) {
    EXPECT_EXIT_CODE(0, app_that_comes_later_wins(););
}
TEST_F(SignalsDeathTest, AsyncioRunDoesNotTakeSigint) {
    EXPECT_EXIT_CODE(0, runner_leaves_sigint_alone(););
}
TEST_F(SignalsDeathTest, AForkedChildDoesNotDrainItsParent) {
    EXPECT_EXIT_CODE(0, forked_child_is_on_its_own(););
}
TEST_F(SignalsDeathTest, OneWishStaysOneWithoutPython) {
    EXPECT_EXIT_CODE(128 + SIGTERM, a_wish_outlives_python(););
}
TEST_F(SignalsDeathTest, AHandlerThatCameLaterGoesWithPython) {
    EXPECT_EXIT_CODE(0, a_later_handler_of_the_app_goes_with_python(););
}

}  // namespace
}  // namespace asioserve::app
