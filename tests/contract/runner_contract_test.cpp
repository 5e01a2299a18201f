// What a runner does with requests: each is answered once, with what its handler gave, on the thread of its
// exchange.
#include "tests/contract/contract_test.hpp"

namespace contract {
namespace {

using testing::HasSubstr;

TEST_F(RunnerContract, AnswersACoroutineThatNeverWaits) {
    run("async def hello(): return 'hi'", [](Host& host) { EXPECT_EQ(host.ask("hello"), ok("hi")); });
}

TEST_F(RunnerContract, AnswersACoroutineThatWaits) {
    run(R"(
async def twice():
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    return 'waited'
)",
        [](Host& host) { EXPECT_EQ(host.ask("twice"), ok("waited")); });
}

TEST_F(RunnerContract, AnswersAPlainFunction) {
    run("def plain(text): return text.upper()",
        [](Host& host) { EXPECT_EQ(host.ask("plain", "abc"), ok("ABC")); });
}

TEST_F(RunnerContract, AnAnswerWithoutABodyArrives) {
    run("async def nothing(): await asyncio.sleep(0)\ndef plain_nothing(): pass", [](Host& host) {
        EXPECT_EQ(host.ask("nothing"), (Answer{204, "", "", {}, false}));
        EXPECT_EQ(host.ask("plain_nothing"), (Answer{204, "", "", {}, false}));
    });
}

TEST_F(RunnerContract, ALargeAnswerArrivesWholeAndASmallOneAfterItToo) {
    run("async def large(n): return 'x' * int(n)", [](Host& host) {
        EXPECT_EQ(host.ask("large", "3000000").body, std::string(3'000'000, 'x'));
        EXPECT_EQ(host.ask("large", "3"), ok("xxx"));
    });
}

TEST_F(RunnerContract, AnExceptionBecomesAnAnswer) {
    run(R"(
async def at_once(): raise ValueError('one')
async def later():
    await asyncio.sleep(0)
    raise KeyError('two')
def plain(): raise OSError('three')
def makes_no_coroutine(text): return text
async def base():
    class Odd(BaseException): pass
    await asyncio.sleep(0)
    raise Odd('four')
async def group(): raise ExceptionGroup('five', [ValueError('a'), TypeError('b')])
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("at_once"), raised("ValueError: one"));
            EXPECT_EQ(host.ask("later"), raised("KeyError: 'two'"));
            EXPECT_EQ(host.ask("plain"), raised("OSError: three"));
            EXPECT_EQ(host.ask("base"), raised("Odd: four"));
            EXPECT_EQ(host.ask("group"), raised("ExceptionGroup: five (2 sub-exceptions)"));
            EXPECT_THAT(host.ask("makes_no_coroutine").body,
                        HasSubstr("TypeError"));  // an argument is missing
        });
}

TEST_F(RunnerContract, AnExceptionInStartBecomesAnAnswer) {
    run("async def strict(argument): return argument", [](Host& host) {
        EXPECT_THAT(host.ask("strict").body, HasSubstr("TypeError"));
        EXPECT_EQ(host.ask("strict", "given"), ok("given"));
    });
}

TEST_F(RunnerContract, AnAnsweredExceptionIsNotLoggedByAsyncio) {
    // The fixture fails on what reaches the loop's exception handler; Task.__del__ reports there.
    run(R"(
import gc
async def bad(): raise ValueError('answered')
async def bad_later():
    await asyncio.sleep(0)
    raise ValueError('answered')
)",
        [](Host& host) {
            host.ask("bad");
            host.ask("bad_later");
            EXPECT_NE(host.eval_on_loop("gc.collect()"), "");
        });
}

TEST_F(RunnerContract, ManyRequestsOfATurnAreEachAnsweredOnce) {
    run(R"(
async def fast(): return 'fast'
async def slow():
    await asyncio.sleep(0)
    return 'slow'
def plain(): return 'plain'
)",
        [](Host& host) {
            for (int round = 0; round < 20; ++round) {
                auto fast = host.begin_many("fast", 64);
                auto slow = host.begin_many("slow", 64);
                auto plain = host.begin_many("plain", 8);
                for (const Asked& a : fast) EXPECT_EQ(a.wait(), ok("fast"));
                for (const Asked& a : slow) EXPECT_EQ(a.wait(), ok("slow"));
                for (const Asked& a : plain) EXPECT_EQ(a.wait(), ok("plain"));
            }
        });
}

TEST_F(RunnerContract, RequestsOverlapWhileTheyWait) {
    run(R"(
waiting = asyncio.Event()
async def first():
    native.note('first waits')
    await waiting.wait()
    return 'first'
async def second():
    waiting.set()
    return 'second'
)",
        [](Host& host) {
            Asked first = host.begin("first");
            host.await_note("first waits");
            EXPECT_FALSE(first.answered());
            EXPECT_EQ(host.ask("second"), ok("second"));
            EXPECT_EQ(first.wait(), ok("first"));
        });
}

TEST_F(RunnerContract, ALockIsGivenInTheOrderOfAsking) {
    run(R"(
lock = asyncio.Lock()
order = []
async def take():
    mine = len(order)
    order.append(mine)
    async with lock:
        await asyncio.sleep(0)
        native.note(f'turn {mine}')
    return str(mine)
)",
        [](Host& host) {
            auto all = host.begin_many("take", 5);
            for (const Asked& a : all) EXPECT_EQ(a.wait().status, 200);
            for (int i = 0; i < 5; ++i) host.await_note("turn " + std::to_string(i));
        });
}

TEST_F(RunnerContract, APlainFunctionSeesNoRunningLoop) {
    run(R"(
def plain():
    try:
        asyncio.get_running_loop()
    except RuntimeError as error:
        return str(error)
def no_task():
    try:
        asyncio.current_task()
    except RuntimeError as error:
        return str(error)
async def after(): return type(asyncio.get_running_loop()).__name__ != 'NoneType'
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("plain"), ok("no running event loop"));
            EXPECT_EQ(host.ask("no_task"), ok("no running event loop"));
            EXPECT_EQ(host.ask("after"), ok("True"));  // and it is back afterwards
        });
}

TEST_F(RunnerContract, APlainFunctionMayGiveACoroutineToGoOnWith) {
    run(R"(
seen = contextvars.ContextVar('seen', default='nothing')
async def rest():
    await asyncio.sleep(0)
    return seen.get() + ' ' + str(asyncio.current_task() is not None)
def plain():
    seen.set('what plain set')
    return rest()
)",
        [](Host& host) { EXPECT_EQ(host.ask("plain"), ok("what plain set True")); });
}

TEST_F(RunnerContract, AResultMayBeACoroutineToGoOnWith) {
    run(R"(
async def body(left):
    await asyncio.sleep(0)
    return body(left - 1) if left else 'all of it'
async def streams(): return body(5)
async def fails():
    async def broken():
        await asyncio.sleep(0)
        raise ValueError('in the body')
    return broken()
async def never_waits():
    async def body(): return 'at once'
    return body()
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("streams"), ok("all of it"));
            EXPECT_EQ(host.ask("fails"), raised("ValueError: in the body"));
            EXPECT_EQ(host.ask("never_waits"), ok("at once"));
        });
}

TEST_F(RunnerContract, CountsWhatItDoes) {
    run(R"(
async def waits():
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done
    return ''
def plain(): return ''
)",
        [](Host& host) {
            const asioserve::Counters before = host.runner().counters();
            for (int i = 0; i < 10; ++i) host.ask("plain");
            const asioserve::Counters plain = host.runner().counters();
            EXPECT_EQ(plain.requests - before.requests, 10U);
            EXPECT_EQ(plain.tasks, before.tasks);
            for (int i = 0; i < 10; ++i) host.ask("waits");
            const asioserve::Counters after = host.runner().counters();
            EXPECT_EQ(after.requests - plain.requests, 10U);
            EXPECT_EQ(after.tasks - plain.tasks, 10U);
            EXPECT_GE(after.gil_acquisitions, plain.gil_acquisitions);
            // A request that changes threads comes back; on one thread nothing changes.
            EXPECT_THAT(after.hand_offs - plain.hand_offs, testing::AnyOf(0U, 20U));
            EXPECT_LE(after.wake_ups - plain.wake_ups, after.hand_offs - plain.hand_offs);
        });
}

TEST_F(RunnerContract, ADebugLoopWorksToo) {
    run(R"(
async def debug():
    asyncio.get_running_loop().set_debug(True)
    await asyncio.sleep(0)
    return 'debug'
async def hello(): return 'hello'
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("debug"), ok("debug"));
            EXPECT_EQ(host.ask("hello"), ok("hello"));
            EXPECT_EQ(host.ask("debug"), ok("debug"));
        });
}

}  // namespace
}  // namespace contract
