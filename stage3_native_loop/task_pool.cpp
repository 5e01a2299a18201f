#include "stage3_native_loop/task_pool.hpp"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "stage3_native_loop/request_task.hpp"
#include "stage3_native_loop/runner.hpp"

namespace stage {

using asioserve::ExchangePtr;
using asioserve::Outcome;
using asioserve::py::clear;
using asioserve::py::gil;
using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

// What a burst of requests has needed at once is kept for the next one, up to this: about 1 KiB each.
constexpr std::size_t kMostSpares = 128;

bool ablated(const char* what) {
    const char* list = std::getenv("ASIOSERVE_ABLATE");
    return list && std::strstr(list, what);
}

Ref attribute(const char* module, const char* name) {
    Ref m = Ref::steal(PyImport_ImportModule(module));
    return m ? Ref::steal(PyObject_GetAttrString(m.get(), name)) : Ref();
}

}  // namespace

void TaskPool::cancel_if_asked(PyObject* task, Outcome& outcome) const {
    if (!outcome.ok() || !cancel_marks_.perhaps(task)) return;
    Ref asked = Ref::steal(PyObject_GetAttrString(task, "_must_cancel"));
    if (asked.get() == Py_True) {
        Ref error = Ref::steal(PyObject_CallMethod(task, "_make_cancelled_error", nullptr));
        if (error) outcome = Outcome::raised(std::move(error));
    }
    if (PyErr_Occurred()) PyErr_WriteUnraisable(task);
}

bool TaskPool::attach(Runner& runner, asioloop::LoopCore& core, PyObject* loop) {
    runner_ = &runner;
    core_ = &core;
    ablations_ = {!ablated("no-pooled-task"), !ablated("no-eager-step")};
    loop_ = Ref::borrow(loop);
    base_context_ = Ref::steal(PyContext_New());  // a request inherits nothing, as on a thread for I/O
    task_type_ = attribute("asyncio.tasks", "Task");
    coroutine_type_ = Ref::steal(make_request_coroutine_type());
    task_names_ = Ref::steal(Py_BuildValue("(ss)", "loop", "context"));
    eager_names_ = Ref::steal(Py_BuildValue("(sss)", "loop", "context", "eager_start"));
    empty_ = Ref::steal(PyTuple_New(0));
    context_name_ = Ref::steal(PyUnicode_InternFromString("context"));
    task_keywords_ = Ref::steal(Py_BuildValue("{sO}", "loop", loop));
#if PY_VERSION_HEX >= 0x030E0000
    enter_ = attribute("asyncio.tasks", "_enter_task");
    leave_ = attribute("asyncio.tasks", "_leave_task");
    if (!enter_ || !leave_) return false;
#else
    // What _enter_task() does, without the call: the dict is asyncio's own.
    current_tasks_ = attribute("asyncio.tasks", "_current_tasks");
    if (!current_tasks_) return false;
    if (!PyDict_Check(current_tasks_.get())) {
        PyErr_SetString(PyExc_ImportError, "asyncio keeps its current tasks in an unknown way");
        return false;
    }
#endif
    return base_context_ && task_type_ && coroutine_type_ && task_names_ && eager_names_ && empty_ &&
           context_name_ && task_keywords_ && registry_.attach() && learn();
}

bool TaskPool::learn() {
    auto e = make();
    if (!e) return false;
    Snapshot unlisted;
    unlisted.take(e->task.get());
    registry_.list(e->token.get());
    registry_hole_ = unlisted.changed(e->task.get());
    registry_.unlist(e->token.get());
    if (!cancel_marks_.learn(e->task.get())) return false;
    // A task is running now; this one ends, cancelled, when the loop comes to it.
    return static_cast<bool>(Ref::steal(core_->call_soon(e->step.get(), {}, e->context.get())));
}

void TaskPool::detach() {
    // asyncio.Runner has cancelled them all; what did not end even so goes with the loop.
    while (waiting_.next != &waiting_) {
        RequestCoroutine& c = RequestCoroutine::from(waiting_.next);
        // Perhaps queued still; but the loop will not run again.
        const PooledTaskPtr its_own(std::exchange(c.pooled, nullptr));
        c.let_go();
    }
    if (!spares_.empty()) {
        core_->show_running();  // from 3.14 on no task takes a step otherwise
        while (!spares_.empty()) discard();
        core_->hide_running();
    }
    registry_.detach();
    for (Ref* r :
         {&spare_context_, &loop_, &base_context_, &task_type_, &task_names_, &eager_names_, &coroutine_type_,
          &current_tasks_, &enter_, &leave_, &empty_, &task_keywords_, &context_name_})
        r->reset();
}

// What calling the type does, less the dict that a call with keywords makes each time.
Ref TaskPool::make_task(PyObject* coroutine, PyObject* context) {
    auto* type = reinterpret_cast<PyTypeObject*>(task_type_.get());
    Ref args = Ref::steal(PyTuple_Pack(1, coroutine));
    PyObject* keywords = task_keywords_.get();
    if (!args || PyDict_SetItem(keywords, context_name_.get(), context) < 0) return {};
    Ref task = Ref::steal(type->tp_new(type, empty_.get(), nullptr));
    if (task && type->tp_init(task.get(), args.get(), keywords) < 0) return {};
    // The context and what is in it must not outlive the request.
    if (PyDict_SetItem(keywords, context_name_.get(), Py_None) < 0) return {};
    return task;
}

TaskPool::PooledTaskPtr TaskPool::make() {
    auto e = std::make_unique<PooledTask>(*this);
    e->coroutine = Ref::steal(RequestCoroutine::make(coroutine_type_.get(), *runner_));
    e->context = Ref::steal(PyContext_Copy(base_context_.get()));
    if (!e->coroutine || !e->context) return nullptr;
    core_->capture = &e->step;
    registry_.quiet(true);
    e->task = make_task(e->coroutine.get(), e->context.get());
    registry_.quiet(false);
    core_->capture = nullptr;
    if (!e->task || !e->step) return nullptr;
    e->token = registry_.token(e->task.get());
    if (!e->token) return nullptr;
    e->context_then.take(e->context.get());
    return e;
}

void TaskPool::enter(PooledTask& e) {
#if PY_VERSION_HEX >= 0x030E0000
    PyObject* args[] = {loop_.get(), e.task.get()};
    Ref done = Ref::steal(PyObject_Vectorcall(enter_.get(), args, 2, nullptr));
    const bool ok = static_cast<bool>(done);
#else
    const bool ok = PyDict_SetItem(current_tasks_.get(), loop_.get(), e.task.get()) == 0;
#endif
    if (!ok) PyErr_WriteUnraisable(e.task.get());
    e.task_then.take(e.task.get(), registry_hole_);
}

void TaskPool::leave(PooledTask& e) {
#if PY_VERSION_HEX >= 0x030E0000
    PyObject* args[] = {loop_.get(), e.task.get()};
    Ref done = Ref::steal(PyObject_Vectorcall(leave_.get(), args, 2, nullptr));
    const bool ok = static_cast<bool>(done);
#else
    const bool ok = PyDict_DelItem(current_tasks_.get(), loop_.get()) == 0;
#endif
    if (!ok) PyErr_WriteUnraisable(e.task.get());
}

void TaskPool::settle() {
    if (!current_) return;
    leave(*spares_.back());
    registry_.unlist(spares_.back()->token.get());
    current_ = false;
}

void TaskPool::discard() {
    settle();
    const PooledTaskPtr e = std::move(spares_.back());
    spares_.pop_back();
    end(*e);
}

// A spare's coroutine has nothing to do and ends in the first step, so that it is not "destroyed but
// pending".
void TaskPool::end(PooledTask& e) {
    Ref done = Ref::steal(PyObject_CallNoArgs(e.step.get()));
    if (!done) PyErr_WriteUnraisable(e.task.get());
}

void TaskPool::end_in_context(PooledTask& e) {
    const bool entered = PyContext_Enter(e.context.get()) == 0;
    if (!entered) PyErr_WriteUnraisable(e.task.get());
    end(e);
    if (entered && PyContext_Exit(e.context.get()) < 0) PyErr_WriteUnraisable(e.task.get());
}

void TaskPool::put_back(PooledTaskPtr e) {
    if (spares_.size() < kMostSpares && e->context_then.unchanged(e->context.get()))
        spares_.push_back(std::move(e));
    else
        end_in_context(*e);
}

// The handler waits. In its context, and no task is current.
void TaskPool::go_on(PooledTaskPtr e, Ref yielded, bool untouched) {
    RequestCoroutine& outer = RequestCoroutine::of(e->coroutine.get());
    if (yielded.get() != Py_None || core_->debug) {
        made_.add();
        outer.hand_over(std::move(yielded));
        return end(*e);
    }
    if (untouched) {
        // sleep(0): what asyncio would queue is another step, and we take that as we took the first.
        e->task_then.take(e->task.get(), registry_hole_);
        outer.pooled = e.release();
        core_->push_ready({.handle = new_reference(outer.pooled->coroutine.get()), .native = outer.pooled});
        return;
    }
    // The task's own first step would find a bare yield and queue the second. The first is as good as the
    // second, and is at hand.
    made_.add();
    Ref handle = Ref::steal(core_->call_soon(e->step.get(), {}, e->context.get()));
    if (!handle) PyErr_WriteUnraisable(loop_.get());
}

bool PooledTask::run(bool) {
    pool.resume(coroutine);
    return true;
}

void TaskPool::resume(Ref coroutine) {
    gil.assert_held();
    RequestCoroutine& outer = RequestCoroutine::of(coroutine.get());
    PooledTaskPtr e(std::exchange(outer.pooled, nullptr));
    // Somebody has met the task meanwhile (cancel() leaves its mark there): the step is asyncio's.
    if (!e->task_then.unchanged(e->task.get()) || !e->context_then.unchanged(e->context.get())) {
        made_.add();
        return end_in_context(*e);
    }
    enter(*e);
    if (PyContext_Enter(e->context.get()) < 0) {
        PyErr_WriteUnraisable(e->task.get());
        leave(*e);
        return end(*e);
    }
    const int held = outer.references_to(e->task.get());
    PyObject* given = nullptr;
    const PySendResult status = outer.advance(&given);
    Ref value = Ref::steal(given);
    std::optional<Outcome> raised;
    if (status == PYGEN_ERROR) raised = Outcome::raised_now();
    // With the answer we have let go of what kept the waiting task alive.
    const bool untouched = e->task_then.unchanged(e->task.get(), held - outer.references_to(e->task.get()));
    leave(*e);
    if (status == PYGEN_RETURN && untouched) {
        if (PyContext_Exit(e->context.get()) < 0) PyErr_WriteUnraisable(loop_.get());
        return put_back(std::move(e));
    }
    Ref context = e->context;
    if (status == PYGEN_NEXT) {
        go_on(std::move(e), std::move(value), untouched);
    } else if (raised) {
        outer.pending = new_reference(raised->object());
        end(*e);
    } else {
        outer.result = value.release();
        end(*e);
    }
    if (PyContext_Exit(context.get()) < 0) PyErr_WriteUnraisable(loop_.get());
}

void TaskPool::fail(asioserve::Exchange& x) {
    PyErr_WriteUnraisable(loop_.get());
    runner_->handler().abort(x);
    x.fail();
}

// [3.3-pooled-task]
void TaskPool::run(ExchangePtr x) {
    gil.assert_held();
    if (core_->has_task_factory || !ablations_.eager_step ||
        (!ablations_.pooled_task && PY_VERSION_HEX >= 0x030C0000)) {
        Ref context = Ref::steal(PyContext_Copy(base_context_.get()));
        return spawn(std::move(x), context.get(), {});
    }
    if (spares_.empty()) {
        PooledTaskPtr made = make();
        if (!made) return fail(*x);
        spares_.push_back(std::move(made));
    }
    PooledTask& e = *spares_.back();
    if (!current_) {
        registry_.list(e.token.get());
        enter(e);
        current_ = true;
    }
    if (PyContext_Enter(e.context.get()) < 0) return fail(*x);
    RequestCoroutine& outer = RequestCoroutine::of(e.coroutine.get());
    // There while it runs, so that the task shows the handler's frame and name.
    outer.inner = runner_->begin(*x).release();
    Ref yielded;
    std::optional<Outcome> outcome;
    while (outer.inner) {
        PyObject* given = nullptr;
        Ref coroutine = Ref::borrow(outer.inner);
        outer.running = true;
        const PySendResult status = PyIter_Send(coroutine.get(), Py_None, &given);
        outer.running = false;
        if (status == PYGEN_NEXT) {
            yielded = Ref::steal(given);
            break;
        }
        outcome = status == PYGEN_RETURN ? Outcome::returned(Ref::steal(given)) : Outcome::raised_now();
        clear(outer.inner);
        coroutine.reset();
        if (!e.task_then.unchanged(e.task.get())) cancel_if_asked(e.task.get(), *outcome);
        outer.inner = runner_->finish(*x, *outcome).release();
    }
    const bool untouched = ablations_.pooled_task && e.task_then.unchanged(e.task.get());
    if (!yielded && untouched) {
        if (PyContext_Exit(e.context.get()) < 0) PyErr_WriteUnraisable(e.task.get());
        if (!e.context_then.unchanged(e.context.get())) discard();
        return;
    }
    // The task goes on by itself; or somebody has seen it, and must see it end.
    leave(e);
    current_ = false;
    PooledTaskPtr used = std::move(spares_.back());
    spares_.pop_back();
    Ref context = used->context;
    if (yielded) {
        outer.adopt(std::move(x), used->task, used->token);
        go_on(std::move(used), std::move(yielded), untouched);
    } else {
        if (outcome) outer.conclude(used->task.get(), *outcome);
        end(*used);
    }
    if (PyContext_Exit(context.get()) < 0) PyErr_WriteUnraisable(loop_.get());
}
// [3.3-pooled-task]

void TaskPool::run_plain(ExchangePtr x) {
    gil.assert_held();
    Ref context = std::exchange(spare_context_, {});
    if (!context) {
        context = Ref::steal(PyContext_Copy(base_context_.get()));
        if (!context) return fail(*x);
        spare_context_then_.take(context.get());
    }
    if (PyContext_Enter(context.get()) < 0) return fail(*x);
    Ref more = runner_->begin(*x);
    if (PyContext_Exit(context.get()) < 0) PyErr_WriteUnraisable(context.get());
    if (more) {
        core_->show_running();
        spawn(std::move(x), context.get(), std::move(more));
    } else if (spare_context_then_.unchanged(context.get())) {
        spare_context_ = std::move(context);
    }
}

void TaskPool::spawn(ExchangePtr x, PyObject* context, Ref inner) {
    settle();  // an eager task enters itself
    Ref coroutine = Ref::steal(RequestCoroutine::make(coroutine_type_.get(), *runner_));
    if (!coroutine || !context) return fail(*x);
    made_.add();
    RequestCoroutine& c = RequestCoroutine::of(coroutine.get());
    c.inner = inner.release();
    x->runner_slot = &c;
    c.assign(x);
    Ref task;
    PyObject* args[] = {coroutine.get(), loop_.get(), context, Py_True};
    if (core_->has_task_factory) {
        Ref create = Ref::steal(PyObject_GetAttrString(loop_.get(), "create_task"));
        Ref names = Ref::steal(Py_BuildValue("(s)", "context"));
        PyObject* with_context[] = {coroutine.get(), context};
        if (create && names)
            task = Ref::steal(PyObject_Vectorcall(create.get(), with_context, 1, names.get()));
    } else if (!ablations_.pooled_task && PY_VERSION_HEX >= 0x030C0000) {
        task = Ref::steal(PyObject_Vectorcall(task_type_.get(), args, 1, eager_names_.get()));
    } else {
        task = Ref::steal(PyObject_Vectorcall(task_type_.get(), args, 1, task_names_.get()));
    }
    // An eager task may have ended already; a task that waits is kept alive by what it waits for, or by the
    // loop.
    if (!task)
        PyErr_WriteUnraisable(loop_.get());  // the coroutine goes, and with it the exchange fails
    else if (c.exchange)
        c.keep(std::move(task));
}

}  // namespace stage
