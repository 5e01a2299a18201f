// How a runner begins and ends, and what it leaves behind: nothing.
#include "tests/contract/contract_test.hpp"

#include <atomic>
#include <future>

namespace contract {
namespace {

using asioserve::py::GilAcquire;
using testing::AnyOf;
using testing::Field;

TEST_F(RunnerContract, SystemExitIsAnAnswerAndTheExitCode) {
    const char* source = R"(
async def at_once(): sys.exit(7)
async def later():
    await asyncio.sleep(0)
    sys.exit(8)
def plain(): sys.exit(9)
async def body():
    await asyncio.sleep(0)
    raise SystemExit(10)
async def streams(): return body()
async def at_start(): return sys.exit(11)
)";
    EXPECT_EQ(run(source, [](Host& host) { EXPECT_EQ(host.ask("at_once"), raised("SystemExit: 7")); }), 7);
    EXPECT_EQ(run(source, [](Host& host) { EXPECT_EQ(host.ask("later"), raised("SystemExit: 8")); }), 8);
    EXPECT_EQ(run(source, [](Host& host) { EXPECT_EQ(host.ask("plain"), raised("SystemExit: 9")); }), 9);
    EXPECT_EQ(run(source, [](Host& host) { EXPECT_EQ(host.ask("streams"), raised("SystemExit: 10")); }), 10);
}

TEST_F(RunnerContract, KeyboardInterruptIsAnAnswerAndTheExitCode) {
    const char* source = R"(
async def at_once(): raise KeyboardInterrupt
async def later():
    await asyncio.sleep(0)
    raise KeyboardInterrupt
def plain(): raise KeyboardInterrupt
)";
    for (const char* name : {"at_once", "later", "plain"})
        EXPECT_EQ(run(source, [&](Host& host) { EXPECT_EQ(host.ask(name), raised("KeyboardInterrupt: ")); }),
                  130);
}

TEST_F(RunnerContract, TheExitOfOneHandlerLeavesTheOthersTheirAnswers) {
    run(R"(
exiting = asyncio.Event()
async def others():
    native.note('waiting')
    await exiting.wait()
    return 'answered'
async def exits():
    exiting.set()
    sys.exit(3)
)",
        [](Host& host) {
            auto others = host.begin_many("others", 10);
            for (int i = 0; i < 10; ++i) host.await_note("waiting");
            EXPECT_EQ(host.ask("exits"), raised("SystemExit: 3"));
            for (const Asked& a : others) EXPECT_EQ(a.wait(), ok("answered"));
        });
}

TEST_F(RunnerContract, AHandlerThatNeverReturnsDoesNotKeepTheProgram) {
    std::vector<Asked> all;
    run(R"(
async def forever():
    native.note('waiting')
    try:
        await asyncio.Event().wait()
    finally:
        native.note('cancelled')
async def spins():
    native.note('waiting')
    while True:
        await asyncio.sleep(0)
)",
        [&](Host& host) {
            all = host.begin_many("forever", 3);
            all.push_back(host.begin("spins"));
            for (int i = 0; i < 4; ++i) host.await_note("waiting");
        });
    // By asyncio's own end of a loop they are cancelled; the server may be gone by then, so a cut is right
    // too.
    for (const Asked& a : all) EXPECT_EQ(a.wait().status, 500);
}

TEST_F(RunnerContract, RequestsAtTheVeryEndAreAnsweredOrCut) {
    for (int i = 0; i < 20; ++i) {
        std::vector<Asked> all;
        Host host(runner_under_test(), R"(
async def fast(): return 'fast'
async def slow():
    await asyncio.sleep(0.001)
    return 'slow'
def plain(): return 'plain'
)");
        host.run([&] {
            for (const char* name : {"fast", "slow", "plain"})
                for (Asked& a : host.begin_many(name, 20)) all.push_back(std::move(a));
            host.on_io([] {});  // they have been started; the loop may have begun some
        });
        for (const Asked& a : all) EXPECT_THAT(a.wait(), Field(&Answer::status, AnyOf(200, 500)));
        // A task that the closing loop has not stepped even once may be known to asyncio only, which then
        // says so.
        for (const std::string& text : host.take_unexpected())
            EXPECT_THAT(text, testing::HasSubstr("Task was destroyed but it is pending"));
    }
}

TEST_F(RunnerContract, AnAnswerOfTheVeryLastTurnIsSentOrCut) {
    Asked asked;
    run(R"(
async def last():
    loop = asyncio.get_running_loop()
    hurry, close = loop.create_future(), loop.close
    def closing():
        hurry.set_result(None)
        loop.call_soon(loop.stop)
        loop.run_forever()  # the handler's last step is in this turn, and no turn follows
        close()
    loop.close = closing
    asyncio.tasks._unregister_task(asyncio.current_task())  # asyncio.Runner would cancel it
    native.note('waiting')
    await hurry
    return 'last'
)",
        [&](Host& host) {
            asked = host.begin("last");
            host.await_note("waiting");
        });
    EXPECT_THAT(asked.wait(), Field(&Answer::status, AnyOf(200, 500)));
}

TEST_F(RunnerContract, AsyncGeneratorsAreClosedAtTheEnd) {
    std::vector<Asked> asked;
    bool noted = false;
    run(R"(
kept = []
async def generator():
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)
        native.note('closed')
async def begins():
    kept.append(generator())
    return str(await anext(kept[0]))
)",
        [&](Host& host) {
            EXPECT_EQ(host.ask("begins"), ok("1"));
            noted = true;
        });
    EXPECT_TRUE(noted);
}

/// Notes on which thread it was run, and that it went with the GIL held.
class Witness {
  public:
    struct Seen {
        std::promise<std::thread::id> ran;
        std::atomic<bool> with_gil{false}, destroyed{false}, destroyed_with_gil{false};
    };
    explicit Witness(std::shared_ptr<Seen> seen) : seen_(std::move(seen)) {}
    Witness(Witness&&) = default;
    ~Witness() {
        if (!seen_) return;
        seen_->destroyed_with_gil = PyGILState_Check() != 0;
        seen_->destroyed = true;
    }
    void operator()() {
        seen_->with_gil = PyGILState_Check() != 0;
        seen_->ran.set_value(std::this_thread::get_id());
    }

  private:
    std::shared_ptr<Seen> seen_;
};

std::thread::id where(const std::shared_ptr<Witness::Seen>& seen) {
    auto ran = seen->ran.get_future();
    if (ran.wait_for(std::chrono::seconds(10)) == std::future_status::ready) return ran.get();
    ADD_FAILURE() << "a job was not run within ten seconds";
    return {};
}

TEST_F(RunnerContract, JobsForPythonRunOnTheLoopsThreadWithTheGil) {
    run("", [](Host& host) {
        auto from_here = std::make_shared<Witness::Seen>(),
             from_here_with_gil = std::make_shared<Witness::Seen>();
        auto from_io = std::make_shared<Witness::Seen>(), from_loop = std::make_shared<Witness::Seen>();
        host.runner().to_python(Witness(from_here));
        {
            GilAcquire held;
            host.runner().to_python(Witness(from_here_with_gil));
        }
        host.on_io([&] { host.runner().to_python(Witness(from_io)); }, false);
        host.runner().to_python([&] { host.runner().to_python(Witness(from_loop)); });
        for (const auto& seen : {from_here, from_here_with_gil, from_io, from_loop}) {
            EXPECT_EQ(where(seen), host.loop_thread());
            EXPECT_TRUE(seen->with_gil);
        }
    });
}

TEST_F(RunnerContract, JobsForIoRunOnTheIoThread) {
    run("", [](Host& host) {
        auto from_here = std::make_shared<Witness::Seen>(),
             from_here_with_gil = std::make_shared<Witness::Seen>();
        auto from_io = std::make_shared<Witness::Seen>(), from_loop = std::make_shared<Witness::Seen>();
        host.runner().to_io(Witness(from_here));
        {
            GilAcquire held;
            host.runner().to_io(Witness(from_here_with_gil));
        }
        host.on_io([&] { host.runner().to_io(Witness(from_io)); }, false);
        host.runner().to_python([&] { host.runner().to_io(Witness(from_loop)); });
        for (const auto& seen : {from_here, from_here_with_gil, from_io, from_loop})
            EXPECT_EQ(where(seen), host.io_thread());
    });
}

TEST_F(RunnerContract, JobsOfOneThreadKeepTheirOrder) {
    run("", [](Host& host) {
        std::vector<int> in_python,
            in_io;  // each written by one thread, read when it has said that it is done
        std::promise<void> python_done, io_done;
        for (int i = 0; i < 1000; ++i) {
            host.runner().to_python([&in_python, i] { in_python.push_back(i); });
            host.runner().to_io([&in_io, i] { in_io.push_back(i); });
        }
        host.runner().to_python([&] { python_done.set_value(); });
        host.runner().to_io([&] { io_done.set_value(); });
        python_done.get_future().wait();
        io_done.get_future().wait();
        EXPECT_EQ(in_python.size(), 1000U);
        EXPECT_EQ(in_io.size(), 1000U);
        EXPECT_TRUE(std::is_sorted(in_python.begin(), in_python.end()));
        EXPECT_TRUE(std::is_sorted(in_io.begin(), in_io.end()));
    });
}

TEST_F(RunnerContract, WhatAHandlerSentToIoComesBeforeItsAnswer) {
    // As a streamed body does: chunks by to_io from the loop's thread, then the end of the coroutine.
    run("async def body(): return 'end'", [](Host& host) {
        for (int i = 0; i < 50; ++i) {
            auto chunks = std::make_shared<std::atomic<int>>(0);
            std::promise<int> when_answered;
            host.runner().to_python([&host, chunks, &when_answered] {
                for (int n = 0; n < 10; ++n) host.runner().to_io([chunks] { ++*chunks; });
                host.runner().to_io([chunks, &when_answered] { when_answered.set_value(*chunks); });
            });
            EXPECT_EQ(when_answered.get_future().get(), 10);
        }
    });
}

TEST_F(RunnerContract, JobsAfterTheEndAreDestroyedUnrunWithTheGil) {
    Host host(runner_under_test(), "");
    host.run([] {});
    auto seen = std::make_shared<Witness::Seen>();
    host.runner().to_python(Witness(seen));
    EXPECT_TRUE(seen->destroyed);
    EXPECT_TRUE(seen->destroyed_with_gil);
    auto ran = seen->ran.get_future();
    EXPECT_EQ(ran.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
}

TEST_F(RunnerContract, JobsAtTheVeryEndRunOrAreDestroyedWithTheGil) {
    for (int i = 0; i < 20; ++i) {
        std::vector<std::shared_ptr<Witness::Seen>> all;
        {
            Host host(runner_under_test(), "");
            host.run([&] {
                for (int n = 0; n < 50; ++n) {
                    all.push_back(std::make_shared<Witness::Seen>());
                    host.runner().to_python(Witness(all.back()));
                }
            });
        }
        for (const auto& seen : all) {
            EXPECT_TRUE(seen->destroyed);
            EXPECT_TRUE(seen->destroyed_with_gil);
        }
    }
}

TEST_F(RunnerContract, StartsAndStopsAgainAndAgainInOneProcess) {
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(run("async def hello(): return 'hi'\nasync def exits(): sys.exit(4)",
                      [&](Host& host) {
                          for (const Asked& a : host.begin_many("hello", 5)) EXPECT_EQ(a.wait(), ok("hi"));
                          if (i % 2) {
                              EXPECT_EQ(host.ask("exits").status, 500);
                          }
                      }),
                  i % 2 ? 4 : 0);
    }
}

TEST_F(RunnerContract, EndsWithoutHavingServed) {
    EXPECT_EQ(run("", [](Host&) {}), 0);
    Host never_run(runner_under_test(), "");
}

TEST_F(RunnerContract, ThousandsOfRequestsLeaveNothingBehind) {
    run(R"(
import gc
class Result:
    def __str__(self): return 'shared'
shared = Result()
async def fast(): return shared
async def slow():
    await asyncio.sleep(0)
    return shared
async def bad():
    await asyncio.sleep(0)
    raise ValueError(shared)
async def body(): return shared
async def streams(): return body()
def plain(): return shared
def objects():
    gc.collect()
    return len(gc.get_objects())
def others(): return f'{sys.getrefcount(shared)} references, {len(asyncio.all_tasks())} tasks'
)",
        [](Host& host) {
            auto round = [&](int times) {
                for (int i = 0; i < times; ++i)
                    for (const char* name : {"fast", "slow", "bad", "streams", "plain"})
                        for (const Asked& a : host.begin_many(name, 40)) a.wait();
            };
            round(2);  // what is made once and kept (caches, free lists, the counters of types) is there now
            host.eval_on_loop("objects()");
            const int objects = std::stoi(host.eval_on_loop("objects()"));
            const std::string others = host.eval_on_loop("others()");
            round(20);
            // 800 requests of each kind: one object of each would be far more than a handle that just waits.
            EXPECT_NEAR(std::stoi(host.eval_on_loop("objects()")), objects, 100);
            EXPECT_EQ(host.eval_on_loop("others()"), others);
            EXPECT_EQ(Record::live(), 0);
        });
}

}  // namespace
}  // namespace contract
