// Handlers that give others a turn, as sleep(0) does: a runner may take such steps by itself, and nobody must
// notice.
#include "tests/contract/contract_test.hpp"

namespace contract {
namespace {

TEST_F(RunnerContract, ATaskThatIsFirstSeenAfterAYieldIsTheRequestsOwn) {
    run(R"(
seen = []
async def yields():
    for _ in range(3): await asyncio.sleep(0)
    return 'yielded'
async def keeps():
    await asyncio.sleep(0)
    mine = asyncio.current_task()
    seen.append(mine)
    await asyncio.sleep(0)
    return f'{asyncio.current_task() is mine} {mine.done()}'
async def keeps_at_its_end():
    await asyncio.sleep(0)
    seen.append(asyncio.current_task())
    return 'kept'
)",
        [](Host& host) {
            for (int round = 0; round < 3; ++round) {
                auto yields = host.begin_many("yields", 10);
                auto keep = host.begin_many("keeps", 10);
                auto keep_late = host.begin_many("keeps_at_its_end", 10);
                for (const Asked& a : yields) EXPECT_EQ(a.wait(), ok("yielded"));
                for (const Asked& a : keep) EXPECT_EQ(a.wait(), ok("True False"));
                for (const Asked& a : keep_late) EXPECT_EQ(a.wait(), ok("kept"));
            }
            EXPECT_EQ(host.eval("len(set(map(id, seen)))"), "60");
            EXPECT_EQ(host.eval_on_loop(
                          "sorted(task.result() for task in seen) == ['True False'] * 30 + ['kept'] * 30"),
                      "True");
            EXPECT_EQ(host.eval("seen.clear()"), "None");
        });
}

TEST_F(RunnerContract, ATaskThatYieldsIsListedOnceAndOnlyWhileItRuns) {
    run(R"(
async def yields():
    for _ in range(50): await asyncio.sleep(0)
    return 'yielded'
async def lists():
    most = 0
    for _ in range(60):
        await asyncio.sleep(0)
        most = max(most, [t.get_coro().__name__ for t in asyncio.all_tasks()].count('yields'))
    return str(most)
)",
        [](Host& host) {
            auto lists = host.begin("lists");
            for (const Asked& a : host.begin_many("yields", 20)) EXPECT_EQ(a.wait(), ok("yielded"));
            EXPECT_LE(std::stoi(lists.wait().body), 20);
            EXPECT_EQ(host.ask("lists"), ok("0"));
        });
}

TEST_F(RunnerContract, ACancelBetweenTwoStepsComesAtTheYield) {
    run(R"(
async def spins():
    try:
        while True: await asyncio.sleep(0)
    except asyncio.CancelledError as error:
        await asyncio.sleep(0)
        return f'cancelled: {error}'
async def gives_in():
    while True: await asyncio.sleep(0)
def found(name): return [t for t in asyncio.all_tasks() if t.get_coro().__name__ == name]
async def cancels(name):
    while not found(name): await asyncio.sleep(0)
    return str([task.cancel('now') for task in found(name)])
)",
        [](Host& host) {
            for (int i = 0; i < 20; ++i) {
                auto spins = host.begin("spins");
                EXPECT_EQ(host.ask("cancels", "spins"), ok("[True]"));
                EXPECT_EQ(spins.wait(), ok("cancelled: now"));
                auto gives_in = host.begin("gives_in");
                EXPECT_EQ(host.ask("cancels", "gives_in"), ok("[True]"));
                // The message gets lost where the outcome crosses threads.
                EXPECT_THAT(gives_in.wait().body, testing::StartsWith("CancelledError: "));
            }
        });
}

TEST_F(RunnerContract, ATaskThatIsSeenAfterAYieldEndsAsItsCoroutineDid) {
    run(R"(
def ended(task):
    native.note('cancelled' if task.cancelled() else repr(task.exception() or task.result()))
async def returns():
    await asyncio.sleep(0)
    asyncio.current_task().add_done_callback(ended)
    return 'text'
async def raises():
    await asyncio.sleep(0)
    asyncio.current_task().add_done_callback(ended)
    raise ValueError('late')
async def cancels_itself():
    await asyncio.sleep(0)
    asyncio.current_task().add_done_callback(ended)
    asyncio.current_task().cancel()
    await asyncio.sleep(0)
async def only_raises():
    await asyncio.sleep(0)
    raise ValueError('unseen')
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("returns"), ok("text"));
            host.await_note("'text'");
            EXPECT_EQ(host.ask("raises"), raised("ValueError: late"));
            host.await_note("ValueError('late')");
            EXPECT_EQ(host.ask("cancels_itself"), raised("CancelledError: "));
            host.await_note("cancelled");
            for (int i = 0; i < 5; ++i) EXPECT_EQ(host.ask("only_raises"), raised("ValueError: unseen"));
        });
}

TEST_F(RunnerContract, WhatIsSetBetweenYieldsStaysTheRequestsOwn) {
    run(R"(
import contextvars
var = contextvars.ContextVar('var', default='unset')
async def sets(value):
    before = var.get()
    await asyncio.sleep(0)
    var.set(value)
    await asyncio.sleep(0)
    return f'{before} {var.get()}'
async def sets_at_its_end(value="other"):
    before = var.get()
    await asyncio.sleep(0)
    var.set(value)
    return before
)",
        [](Host& host) {
            for (int round = 0; round < 3; ++round) {
                for (const Asked& a : host.begin_many("sets_at_its_end", 10))
                    EXPECT_EQ(a.wait(), ok("unset"));
                std::vector<Asked> all;
                for (int i = 0; i < 20; ++i) all.push_back(host.begin("sets", std::to_string(i)));
                for (std::size_t i = 0; i < all.size(); ++i)
                    EXPECT_EQ(all[i].wait(), ok(std::string("unset ").append(std::to_string(i))));
            }
            EXPECT_EQ(host.eval_on_loop("var.get()"), "unset");
        });
}

TEST_F(RunnerContract, YieldsAndWaitsMayAlternate) {
    run(R"(
import gc
async def alternates():
    for i in range(3):
        await asyncio.sleep(0)
        await asyncio.to_thread(int)
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            await asyncio.sleep(0)
            await asyncio.gather(*[asyncio.sleep(0) for _ in range(3)])
        gc.collect()
        await asyncio.sleep(0)
    return 'alternated'
)",
        [](Host& host) {
            for (const Asked& a : host.begin_many("alternates", 10)) EXPECT_EQ(a.wait(), ok("alternated"));
        });
}

TEST_F(RunnerContract, ACoroutineThatIsClosedBetweenTwoStepsEndsItsRequest) {
    run(R"(
async def spins():
    while True: await asyncio.sleep(0)
async def closes():
    while True:
        for task in asyncio.all_tasks():
            if getattr(task.get_coro(), '__name__', '') == 'spins':
                task.get_coro().close()
                return 'closed'
        await asyncio.sleep(0)
)",
        [](Host& host) {
            for (int i = 0; i < 5; ++i) {
                auto spins = host.begin("spins");
                EXPECT_EQ(host.ask("closes"), ok("closed"));
                EXPECT_EQ(spins.wait().status, 500);
            }
        });
}

TEST_F(RunnerContract, ACoroutineThatRunsRefusesToBeDrivenByOthers) {
    run(R"(
def refusals():
    coroutine = asyncio.current_task().get_coro()
    count = 0
    for drive in coroutine.close, lambda: coroutine.send(None), lambda: coroutine.throw(KeyError('thrown')):
        try: drive()
        except ValueError as error: count += str(error) == 'coroutine already executing'
    return count
async def drives():
    counts = [refusals()]
    await asyncio.sleep(0)
    counts.append(refusals())
    await asyncio.to_thread(int)
    counts.append(refusals())
    return str(counts)
)",
        [](Host& host) { EXPECT_EQ(host.ask("drives"), ok("[3, 3, 3]")); });
}

TEST_F(RunnerContract, TheEndFindsHandlersBetweenTwoSteps) {
    run(R"(
async def spins():
    native.note('spins')
    while True: await asyncio.sleep(0)
)",
        [](Host& host) {
            host.begin_many("spins", 10);
            host.await_note("spins");
        });
}

}  // namespace
}  // namespace contract
