// What a handler may expect of asyncio: all that it would find under asyncio.run.
#include "tests/contract/contract_test.hpp"

namespace contract {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(RunnerContract, TheCurrentTaskIsThereInTheFirstStep) {
    run(R"(
async def here():
    task = asyncio.current_task()
    return f'{isinstance(task, asyncio.Task)} {task in asyncio.all_tasks()} {task.done()}'
)",
        [](Host& host) { EXPECT_EQ(host.ask("here"), ok("True True False")); });
}

TEST_F(RunnerContract, EachRequestHasATaskOfItsOwnAndKeepsIt) {
    run(R"(
tasks = []
async def mine():
    before = asyncio.current_task()
    tasks.append(before)
    await asyncio.sleep(0)
    return str(asyncio.current_task() is before)
async def quick():
    tasks.append(asyncio.current_task())
    return 'quick'
async def body():
    await asyncio.sleep(0)
    return str(asyncio.current_task() is not None)
async def streams(): return body()
)",
        [](Host& host) {
            for (const Asked& a : host.begin_many("mine", 20)) EXPECT_EQ(a.wait(), ok("True"));
            for (const Asked& a : host.begin_many("quick", 20)) EXPECT_EQ(a.wait(), ok("quick"));
            EXPECT_EQ(host.eval("len(set(map(id, tasks)))"), "40");
            EXPECT_EQ(host.eval_on_loop("all(task.done() for task in tasks)"), "True");
            EXPECT_EQ(host.ask("streams"), ok("True"));
            EXPECT_EQ(host.eval("tasks.clear()"), "None");
        });
}

TEST_F(RunnerContract, AllTasksShowsThoseThatWaitAndMayBeIteratedMeanwhile) {
    run(R"(
from asyncio import tasks as internals
listed = getattr(internals, '_scheduled_tasks', None)
if listed is None: listed = internals._all_tasks
gate = asyncio.Event()
async def waits(): return str(await gate.wait())
async def sleeps():
    await asyncio.sleep(0)
    return 'slept'
async def counts():
    named = [t.get_coro().__name__ for t in asyncio.all_tasks()]
    return f"{named.count('waits')} {named.count('sleeps')} {named.count('counts')}"
async def child(): pass
async def iterates():
    mine = [asyncio.create_task(child()) for _ in range(50)]
    await asyncio.gather(*mine)
    for task in listed:
        mine.clear()  # they die while the set is being iterated
    return 'iterated'
def opens(): gate.set()
)",
        [](Host& host) {
            auto waiting = host.begin_many("waits", 5);
            EXPECT_EQ(host.ask("counts"), ok("5 0 1"));
            for (const Asked& a : host.begin_many("sleeps", 20)) EXPECT_EQ(a.wait(), ok("slept"));
            EXPECT_EQ(host.ask("counts"), ok("5 0 1"));
            EXPECT_EQ(host.ask("iterates"), ok("iterated"));
            host.eval_on_loop("opens()");
            for (const Asked& a : waiting) EXPECT_EQ(a.wait(), ok("True"));
            EXPECT_EQ(host.ask("counts"), ok("0 0 1"));
        });
}

TEST_F(RunnerContract, ATaskHasANameThatStays) {
    run(R"(
async def named():
    task = asyncio.current_task()
    native.note('named' if task.get_name() else 'nameless')
    task.set_name('mine')
    await asyncio.sleep(0)
    return asyncio.current_task().get_name()
async def fresh(): return asyncio.current_task().get_name()
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("named"), ok("mine"));
            host.await_note("named");
            for (int i = 0; i < 3; ++i) EXPECT_THAT(host.ask("fresh").body, StartsWith("Task-"));
        });
}

TEST_F(RunnerContract, ATaskShowsItsHandler) {
    run(R"(
async def shows():
    task = asyncio.current_task()
    before = repr(task), task.get_stack()[-1].f_code.co_name
    await asyncio.sleep(0)
    return f'{before} {task!r} {task.get_coro().__name__}'
)",
        [](Host& host) {
            const std::string text = host.ask("shows").body;
            EXPECT_THAT(text, HasSubstr("coro=<shows()"));
            EXPECT_THAT(text, HasSubstr("'shows')"));
            EXPECT_THAT(text, testing::EndsWith(" shows"));
        });
}

TEST_F(RunnerContract, ATaskEndsAsItsCoroutineDid) {
    run(R"(
def ended(task):
    if task.cancelled():
        native.note('cancelled')
    elif task.exception():
        native.note(repr(task.exception()))
    else:
        native.note(task.result())
async def returns():
    asyncio.current_task().add_done_callback(ended)
    return 'result'
async def raises():
    asyncio.current_task().add_done_callback(ended)
    await asyncio.sleep(0)
    raise ValueError('raised')
async def is_cancelled():
    asyncio.current_task().add_done_callback(ended)
    asyncio.current_task().cancel()
    await asyncio.sleep(0)
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("returns"), ok("result"));
            host.await_note("result");
            EXPECT_EQ(host.ask("raises"), raised("ValueError: raised"));
            host.await_note("ValueError('raised')");
            EXPECT_EQ(host.ask("is_cancelled").status, 500);
            host.await_note("cancelled");
        });
}

TEST_F(RunnerContract, ATimeoutWorksFromTheFirstStepOn) {
    run(R"(
async def runs_out():
    try:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()
    except TimeoutError:
        return f'timed out {asyncio.current_task().cancelling()}'
async def is_enough():
    async with asyncio.timeout(100):
        return 'in time'
async def wait_for():
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.001)
    except TimeoutError:
        return 'timed out'
async def escapes():
    async with asyncio.timeout(0):
        await asyncio.sleep(100)
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("runs_out"), ok("timed out 0"));
            EXPECT_EQ(host.ask("is_enough"), ok("in time"));
            EXPECT_EQ(host.ask("wait_for"), ok("timed out"));
            EXPECT_EQ(host.ask("escapes"), raised("TimeoutError: "));
        });
}

TEST_F(RunnerContract, TaskGroupsAndGatherWork) {
    run(R"(
async def part(n):
    await asyncio.sleep(0)
    return n
async def group():
    async with asyncio.TaskGroup() as tasks:
        parts = [tasks.create_task(part(n)) for n in range(3)]
    return str([p.result() for p in parts])
async def gathered(): return str(await asyncio.gather(*map(part, range(3))))
async def breaks():
    async def broken(): raise ValueError('inside')
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(broken())
        await asyncio.sleep(100)
async def catches():
    try:
        await breaks()
    except* ValueError as group:
        caught = f'caught {group.exceptions}'
    return caught
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("group"), ok("[0, 1, 2]"));
            EXPECT_EQ(host.ask("gathered"), ok("[0, 1, 2]"));
            EXPECT_THAT(host.ask("breaks").body,
                        StartsWith("ExceptionGroup: unhandled errors in a TaskGroup"));
            EXPECT_EQ(host.ask("catches"), ok("caught (ValueError('inside'),)"));
        });
}

TEST_F(RunnerContract, ContextVariablesAreTheRequestsOwn) {
    run(R"(
var = contextvars.ContextVar('var', default='unset')
async def sets(value):
    before = var.get()
    var.set(value)
    await asyncio.sleep(0)
    kept = var.get()
    await asyncio.sleep(0.001)
    return f'{before} {kept} {var.get()}'
async def at_once(value):
    before = var.get()
    var.set(value)
    return f'{before} {var.get()}'
def plain(value):
    before = var.get()
    var.set(value)
    return f'{before} {var.get()}'
)",
        [](Host& host) {
            std::vector<Asked> all;
            for (int i = 0; i < 20; ++i) all.push_back(host.begin("sets", std::to_string(i)));
            for (int i = 0; i < 20; ++i) {
                const std::string n = std::to_string(i);
                const std::string untouched = "unset " + n;
                EXPECT_EQ(host.ask("at_once", n), ok(untouched));
                EXPECT_EQ(host.ask("plain", n), ok(untouched));
                EXPECT_EQ(all[static_cast<std::size_t>(i)].wait(),
                          ok(std::string(untouched).append(" ").append(n)));
            }
            EXPECT_EQ(host.eval_on_loop("var.get()"), "unset");
        });
}

TEST_F(RunnerContract, ContextVariablesReachTheBodyTasksAndThreads) {
    run(R"(
var = contextvars.ContextVar('var', default='unset')
async def body():
    before = var.get()
    await asyncio.sleep(0)
    return f'{before} {var.get()}'
async def streams():
    var.set('first')
    await asyncio.sleep(0)
    var.set('last')
    return body()
async def child(): return var.get()
async def spawns():
    var.set('parent')
    return await asyncio.create_task(child()) + ' ' + await asyncio.to_thread(var.get)
async def token():
    token = var.set('for now')
    await asyncio.sleep(0)
    var.reset(token)
    return var.get()
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("streams"), ok("last last"));
            EXPECT_EQ(host.ask("spawns"), ok("parent parent"));
            EXPECT_EQ(host.ask("token"), ok("unset"));
        });
}

TEST_F(RunnerContract, ARequestsContextStartsEmpty) {
    run(R"(
var = contextvars.ContextVar('var', default='unset')
var.set('by the import')
async def coroutine(): return var.get()
def plain(): return var.get()
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("coroutine"), ok("unset"));
            EXPECT_EQ(host.ask("plain"), ok("unset"));
        });
}

TEST_F(RunnerContract, ATaskMayOutliveTheAnswer) {
    run(R"(
go_on = asyncio.Event()
background = set()
async def outlives():
    async def work():
        await go_on.wait()
        native.note('done')
    task = asyncio.create_task(work())
    background.add(task)
    task.add_done_callback(background.discard)
    return 'answered'
async def release():
    go_on.set()
    return 'released'
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("outlives"), ok("answered"));
            EXPECT_EQ(host.ask("release"), ok("released"));
            host.await_note("done");
        });
}

TEST_F(RunnerContract, ThreadsOfTheExecutorWork) {
    run(R"(
async def threads():
    there = await asyncio.to_thread(threading.get_ident)
    loop = asyncio.get_running_loop()
    here = await loop.run_in_executor(None, lambda: 'executor')
    return f'{here} {there != threading.get_ident()}'
async def busy():
    def count(): return sum(i % 7 for i in range(20000))
    work = asyncio.ensure_future(asyncio.to_thread(count))
    while not work.done():
        await asyncio.sleep(0)
    return 'counted'
)",
        [](Host& host) {
            EXPECT_EQ(host.ask("threads"), ok("executor True"));
            EXPECT_EQ(host.ask("busy"), ok("counted"));  // although the loop never rests
        });
}

constexpr const char* cancelled_source = R"(
async def waits():
    native.note('waiting')
    try:
        await asyncio.Event().wait()
    finally:
        native.note('cleaned up')
async def suppresses():
    try:
        native.note('waiting')
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        return f'went on, cancelling {asyncio.current_task().uncancel()}'
async def body():
    native.note('streaming')
    await asyncio.Event().wait()
async def streams(): return body()
go_on = threading.Event()
async def in_first_step():
    native.note('first step')
    go_on.wait()
    await asyncio.Event().wait()
async def quick(): return 'quick'
async def slow():
    await asyncio.sleep(0)
    return 'slow'
def plain(): return 'plain'
)";

TEST_F(RunnerContract, CancelReachesAHandlerThatWaits) {
    run(cancelled_source, [](Host& host) {
        Asked asked = host.begin("waits");
        host.await_note("waiting");
        host.cancel(asked);
        EXPECT_EQ(asked.wait(), raised("CancelledError: "));
        host.await_note("cleaned up");
        Asked streaming = host.begin("streams");
        host.await_note("streaming");
        host.cancel(streaming);
        EXPECT_EQ(streaming.wait(), raised("CancelledError: "));
    });
}

TEST_F(RunnerContract, AHandlerMayGoOnAfterACancel) {
    run(cancelled_source, [](Host& host) {
        Asked asked = host.begin("suppresses");
        host.await_note("waiting");
        host.cancel(asked);
        EXPECT_EQ(asked.wait(), ok("went on, cancelling 0"));
    });
}

TEST_F(RunnerContract, ACancelDuringTheFirstStepComesAtTheFirstAwait) {
    run(cancelled_source, [](Host& host) {
        Asked asked = host.begin("in_first_step");
        host.await_note("first step");
        host.cancel(asked);
        EXPECT_EQ(host.eval("go_on.set()"), "None");
        EXPECT_EQ(asked.wait(), raised("CancelledError: "));
    });
}

TEST_F(RunnerContract, AHandlerMayCancelItsOwnTask) {
    run(R"(
async def cancels():
    task = asyncio.current_task()
    task.cancel('why')
    native.note(f'{task.cancelling()}')
    await asyncio.sleep(0)
    return 'not reached'
async def returns_first():
    asyncio.current_task().cancel()
    return 'returned'
async def takes_back():
    task = asyncio.current_task()
    task.cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        task.uncancel()
    await asyncio.sleep(0)
    return f'{task.cancelling()}'
)",
        [](Host& host) {
            EXPECT_THAT(host.ask("cancels").body, StartsWith("CancelledError"));
            host.await_note("1");
            // asyncio.Task ends as cancelled when it was told so before it returned.
            EXPECT_EQ(host.ask("returns_first"), raised("CancelledError: "));
            EXPECT_EQ(host.ask("takes_back"), ok("0"));
        });
}

TEST_F(RunnerContract, ACancelAtAnyTimeLeavesOneAnswer) {
    run(cancelled_source, [](Host& host) {
        for (int i = 0; i < 200; ++i) {
            // In one turn of I/O, so that the cancel may come before the first step, during it, or after the
            // answer.
            Asked quick = host.begin("quick"), slow = host.begin("slow"), plain = host.begin("plain");
            for (const Asked* asked : {&quick, &slow, &plain}) host.cancel(*asked);
            host.cancel(slow);
            EXPECT_THAT(quick.wait(), AnyOf(ok("quick"), raised("CancelledError: ")));
            EXPECT_THAT(slow.wait(), AnyOf(ok("slow"), raised("CancelledError: ")));
            EXPECT_EQ(plain.wait(), ok("plain"));
            host.cancel(quick);
            EXPECT_EQ(host.ask("quick"), ok("quick"));  // the late cancel hits nobody else
        }
    });
}

TEST_F(RunnerContract, ASignalHandlerOfTheLoopIsCalled) {
    run(R"(
import os, signal
async def signals():
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, came.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await came.wait()
    loop.remove_signal_handler(signal.SIGUSR1)
    return 'came'
)",
        [](Host& host) { EXPECT_EQ(host.ask("signals"), ok("came")); });
}

}  // namespace
}  // namespace contract
