#include "stage3_native_loop/task_pool.hpp"

#include <cstdlib>
#include <cstring>

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

bool ablated(const char* what) {
    const char* list = std::getenv("ASIOSERVE_ABLATE");
    return list && std::strstr(list, what);
}

Ref attribute(const char* module, const char* name) {
    Ref m = Ref::steal(PyImport_ImportModule(module));
    return m ? Ref::steal(PyObject_GetAttrString(m.get(), name)) : Ref();
}

}  // namespace

void Snapshot::take(PyObject* o) {
    references_ = Py_REFCNT(o);
    const auto size = static_cast<std::size_t>(Py_TYPE(o)->tp_basicsize);
    const char* from = reinterpret_cast<const char*>(o);
    bytes_.assign(from + sizeof(PyObject), from + size);
}

bool Snapshot::unchanged(PyObject* o) const noexcept {
    return Py_REFCNT(o) == references_ &&
           std::memcmp(bytes_.data(), reinterpret_cast<const char*>(o) + sizeof(PyObject), bytes_.size()) ==
               0;
}

void cancel_if_asked(PyObject* task, Outcome& outcome) {
    if (!outcome.ok()) return;
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
#if PY_VERSION_HEX >= 0x030E0000
    enter_ = attribute("asyncio.tasks", "_enter_task");
    leave_ = attribute("asyncio.tasks", "_leave_task");
    register_ = attribute("asyncio.tasks", "_register_task");
    unregister_ = attribute("asyncio.tasks", "_unregister_task");
    if (!enter_ || !leave_ || !register_ || !unregister_) return false;
#else
    // What _enter_task() and WeakSet.add() do, without the calls: the dict and the set are asyncio's own.
    current_tasks_ = attribute("asyncio.tasks", "_current_tasks");
#if PY_VERSION_HEX >= 0x030C0000
    Ref all = attribute("asyncio.tasks", "_scheduled_tasks");
#else
    Ref all = attribute("asyncio.tasks", "_all_tasks");
#endif
    if (!current_tasks_ || !all) return false;
    listed_ = Ref::steal(PyObject_GetAttrString(all.get(), "data"));
    unlist_ = Ref::steal(PyObject_GetAttrString(all.get(), "_remove"));
    if (!listed_ || !unlist_ || !PyDict_Check(current_tasks_.get()) || !PyAnySet_Check(listed_.get()))
        return false;
#endif
    return base_context_ && task_type_ && coroutine_type_ && task_names_ && eager_names_;
}

void TaskPool::detach() {
    // asyncio.Runner has cancelled them all; what did not end even so goes with the loop.
    while (waiting_.next != &waiting_) RequestCoroutine::from(waiting_.next).let_go();
    if (spare_) discard();
    for (Ref* r :
         {&spare_context_, &loop_, &base_context_, &task_type_, &task_names_, &eager_names_, &coroutine_type_,
          &current_tasks_, &enter_, &leave_, &register_, &unregister_, &listed_, &unlist_})
        r->reset();
}

std::optional<TaskPool::Entry> TaskPool::make() {
    Entry e;
    e.coroutine = Ref::steal(RequestCoroutine::make(coroutine_type_.get(), *runner_));
    e.context = Ref::steal(PyContext_Copy(base_context_.get()));
    if (!e.coroutine || !e.context) return std::nullopt;
    PyObject* args[] = {e.coroutine.get(), loop_.get(), e.context.get()};
    core_->capture = &e.step;
    e.task = Ref::steal(PyObject_Vectorcall(task_type_.get(), args, 1, task_names_.get()));
    core_->capture = nullptr;
    if (!e.task || !e.step) return std::nullopt;
#if PY_VERSION_HEX < 0x030E0000
    e.weakref = Ref::steal(PyWeakref_NewRef(e.task.get(), unlist_.get()));
    if (!e.weakref) return std::nullopt;
#endif
    set_listed(e, false);
    e.context_then.take(e.context.get());
    return e;
}

void TaskPool::set_listed(Entry& e, bool on) {
#if PY_VERSION_HEX >= 0x030E0000
    Ref done = Ref::steal(PyObject_CallOneArg(on ? register_.get() : unregister_.get(), e.task.get()));
    const bool ok = static_cast<bool>(done);
#else
    const bool ok =
        (on ? PySet_Add(listed_.get(), e.weakref.get()) : PySet_Discard(listed_.get(), e.weakref.get())) >= 0;
#endif
    if (!ok) PyErr_WriteUnraisable(e.task.get());
}

void TaskPool::make_current(Entry& e) {
    set_listed(e, true);
#if PY_VERSION_HEX >= 0x030E0000
    PyObject* args[] = {loop_.get(), e.task.get()};
    Ref done = Ref::steal(PyObject_Vectorcall(enter_.get(), args, 2, nullptr));
    const bool ok = static_cast<bool>(done);
#else
    const bool ok = PyDict_SetItem(current_tasks_.get(), loop_.get(), e.task.get()) == 0;
#endif
    if (!ok) PyErr_WriteUnraisable(e.task.get());
    current_ = true;
    e.task_then.take(e.task.get());
}

void TaskPool::make_idle(Entry& e) {
#if PY_VERSION_HEX >= 0x030E0000
    PyObject* args[] = {loop_.get(), e.task.get()};
    Ref done = Ref::steal(PyObject_Vectorcall(leave_.get(), args, 2, nullptr));
    const bool ok = static_cast<bool>(done);
#else
    const bool ok = PyDict_DelItem(current_tasks_.get(), loop_.get()) == 0;
#endif
    if (!ok) PyErr_WriteUnraisable(e.task.get());
    current_ = false;
}

void TaskPool::settle() {
    if (!current_) return;
    make_idle(*spare_);
    set_listed(*spare_, false);
}

void TaskPool::discard() {
    settle();
    Entry e = std::move(*spare_);
    spare_.reset();
    // Its coroutine has nothing to do and ends in the first step, so that it is not "destroyed but pending".
    Ref done = Ref::steal(PyObject_CallNoArgs(e.step.get()));
    if (!done) PyErr_WriteUnraisable(e.task.get());
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
    if (!spare_ && !(spare_ = make())) return fail(*x);
    Entry& e = *spare_;
    if (!current_) make_current(e);
    if (PyContext_Enter(e.context.get()) < 0) return fail(*x);
    RequestCoroutine& outer = RequestCoroutine::of(e.coroutine.get());
    // There while it runs, so that the task shows the handler's frame and name.
    outer.inner = runner_->begin(*x).release();
    Ref yielded;
    std::optional<Outcome> outcome;
    while (outer.inner) {
        PyObject* given = nullptr;
        Ref coroutine = Ref::borrow(outer.inner);
        const PySendResult status = PyIter_Send(coroutine.get(), Py_None, &given);
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
    // The task goes on by itself; or somebody has seen it, and must see it end.
    if (yielded || !ablations_.pooled_task || !e.task_then.unchanged(e.task.get())) {
        make_idle(e);
        Entry used = std::move(e);
        spare_.reset();
        if (yielded) {
            made_.add();
            outer.adopt(std::move(x), used.task, std::move(yielded));
        } else if (outcome) {
            outer.conclude(used.task.get(), *outcome);
        }
        Ref done = Ref::steal(PyObject_CallNoArgs(used.step.get()));
        if (!done) PyErr_WriteUnraisable(used.task.get());
        if (PyContext_Exit(used.context.get()) < 0) PyErr_WriteUnraisable(used.task.get());
        return;
    }
    if (PyContext_Exit(e.context.get()) < 0) PyErr_WriteUnraisable(e.task.get());
    if (!e.context_then.unchanged(e.context.get())) discard();
}
// [3.3-pooled-task]

void TaskPool::run_plain(ExchangePtr x) {
    gil.assert_held();
    settle();
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
