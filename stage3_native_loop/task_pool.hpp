// The pooled task: a real asyncio.Task whose first step is taken by us, before anybody has to pay for it.
//
// A Task is made ahead of time around an empty RequestCoroutine; the call_soon() of its first step is caught,
// not queued. For a request it is made the current task, in its context, while the handler's coroutine takes
// its first step by PyIter_Send. Nearly all handlers that never wait end right there: if the task and its
// context are then byte for byte what they were, nobody has seen them, and the next request uses them again
// (saves about 1 µs a request). After a bare yield, as sleep(0) makes it, the next step is ours as well, as
// long as that holds. A handler that waits for something goes on as that task: its first step is run, in
// which the RequestCoroutine hands over what the handler's coroutine has yielded. So current_task(),
// timeout(), TaskGroup, cancel() and names are asyncio's own.
//
// Threads: the loop's, GIL held.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/app/computation.hpp"
#include "common/runner/counters.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/core/task_registry.hpp"
#include "stage3_native_loop/task_traces.hpp"

namespace stage {

class Runner;

/// What the bench takes away to see what it is worth (environment variable ASIOSERVE_ABLATE).
struct Ablations {
    /// False: a new Task for each request.
    bool pooled_task = true;
    /// False: the first step on the next turn.
    bool eager_step = true;
};

/// A place in the list of tasks that are kept alive.
struct TaskLink {
    /// Itself when alone.
    TaskLink* next = this;
    /// Itself when alone.
    TaskLink* previous = this;
};

class TaskPool;

/// A task that was made ahead of time, and what belongs to it. As a callback of the loop: the next step of
/// its request, whose handler has made a bare yield.
struct PooledTask final : asioloop::NativeCallback {
    /// The pool outlives it.
    explicit PooledTask(TaskPool& p) : pool(p) {}
    bool run(bool) override;

    TaskPool& pool;                ///< whose it is
    asioserve::py::Ref coroutine;  ///< the RequestCoroutine that the task believes it runs
    asioserve::py::Ref context;    ///< the task's
    asioserve::py::Ref task;       ///< asyncio's Task; its first step has not been taken by asyncio
    asioserve::py::Ref step;       ///< that step, caught: a callable without arguments
    asioserve::py::Ref token;      ///< what the registry knows it by
    Snapshot task_then;            ///< the task as it was when nobody else had seen it
    Snapshot context_then;         ///< the context as it was made
};

class TaskPool {
  public:
    /// False with an exception set.
    bool attach(Runner& runner, asioloop::LoopCore& core, PyObject* loop);
    /// Lets go of all tasks, when the loop has ended.
    void detach();

    /// Runs a request's coroutine: its first step now, the rest as a task.
    void run(asioserve::ExchangePtr x);
    /// Runs a plain function's request; goes on as a task if it comes to more (a streamed answer).
    void run_plain(asioserve::ExchangePtr x);
    /// The next step of a request whose handler has made a bare yield. Raises nothing.
    void resume(asioserve::py::Ref coroutine);
    /// No task of ours is current any more. Between the requests of one turn the pooled task stays current,
    /// which saves a dict and a set operation each; whoever runs other code, or lets the GIL go, calls this
    /// first.
    void settle();
    /// A task that was asked to cancel and then ends by returning is a cancelled task to asyncio: so is its
    /// outcome.
    void cancel_if_asked(PyObject* task, asioserve::Outcome& outcome) const;

    /// A task that go_on() has let go has come to its end: what its death would do, done cheaper now.
    void ended(PyObject* token) { registry_.unlist(token); }

    /// The tasks that wait, linked; asyncio itself holds a task only by what it waits for.
    TaskLink& waiting() noexcept { return waiting_; }
    /// Tasks that were made for requests.
    const asioserve::Counter& tasks() const noexcept { return made_; }

  private:
    using PooledTaskPtr = std::unique_ptr<PooledTask>;

    PooledTaskPtr make();
    asioserve::py::Ref make_task(PyObject* coroutine, PyObject* context);
    void enter(PooledTask& e);
    void leave(PooledTask& e);
    void go_on(PooledTaskPtr e, asioserve::py::Ref yielded, bool untouched);
    void end_in_context(PooledTask& e);
    void end(PooledTask& e);
    void put_back(PooledTaskPtr e);
    void discard();
    bool learn();
    void spawn(asioserve::ExchangePtr x, PyObject* context, asioserve::py::Ref inner);
    void fail(asioserve::Exchange& x);

    Runner* runner_ = nullptr;
    asioloop::LoopCore* core_ = nullptr;
    Ablations ablations_;
    asioloop::TaskRegistry registry_;
    CancelMarks cancel_marks_;
    asioserve::Counter made_;
    TaskLink waiting_;
    std::vector<PooledTaskPtr> spares_;
    bool current_ = false;  // the last spare is the loop's current task
    Hole registry_hole_;
    asioserve::py::Ref spare_context_;
    Snapshot spare_context_then_;

    // asyncio's own, looked up once
    asioserve::py::Ref loop_, base_context_, task_type_, task_names_, eager_names_, coroutine_type_;
    asioserve::py::Ref current_tasks_, enter_, leave_;
    asioserve::py::Ref empty_, task_keywords_;  // for making a Task without a dict of its own
    asioserve::py::Ref context_name_;
};

}  // namespace stage
