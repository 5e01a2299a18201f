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

bool CancelMarks::learn(PyObject* task) {
    const auto size = static_cast<std::size_t>(Py_TYPE(task)->tp_basicsize);
    const auto* bytes = reinterpret_cast<const unsigned char*>(task);
    const std::vector<unsigned char> before(bytes, bytes + size);
    Ref done = Ref::steal(PyObject_CallMethod(task, "cancel", nullptr));
    if (!done) return false;
    type_ = Py_TYPE(task);
    for (std::size_t i = sizeof(PyObject); i < size; ++i) {
        const auto bits = static_cast<unsigned char>(bytes[i] ^ before[i]);
        if (bits != 0)
            marks_.push_back(
                {static_cast<Py_ssize_t>(i), bits, static_cast<unsigned char>(before[i] & bits)});
    }
    return true;
}

bool CancelMarks::perhaps(PyObject* task) const noexcept {
    // None: it keeps its notes elsewhere (a Task in Python).
    if (marks_.empty() || Py_TYPE(task) != type_) return true;
    const auto* bytes = reinterpret_cast<const unsigned char*>(task);
    for (const Mark& m : marks_)
        if ((bytes[m.offset] & m.bits) != m.clear) return true;
    return false;
}

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
           context_name_ && task_keywords_ && registry_.attach() && learn_cancel();
}

bool TaskPool::learn_cancel() {
    auto e = make();
    if (!e || !cancel_marks_.learn(e->task.get())) return false;
    // A task is running now; this one ends, cancelled, when the loop comes to it.
    return static_cast<bool>(Ref::steal(core_->call_soon(e->step.get(), empty_.get(), e->context.get())));
}

void TaskPool::detach() {
    // asyncio.Runner has cancelled them all; what did not end even so goes with the loop.
    while (waiting_.next != &waiting_) RequestCoroutine::from(waiting_.next).let_go();
    if (spare_) {
        core_->show_running();  // from 3.14 on no task takes a step otherwise
        discard();
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

std::optional<TaskPool::Entry> TaskPool::make() {
    Entry e;
    e.coroutine = Ref::steal(RequestCoroutine::make(coroutine_type_.get(), *runner_));
    e.context = Ref::steal(PyContext_Copy(base_context_.get()));
    if (!e.coroutine || !e.context) return std::nullopt;
    core_->capture = &e.step;
    registry_.quiet(true);
    e.task = make_task(e.coroutine.get(), e.context.get());
    registry_.quiet(false);
    core_->capture = nullptr;
    if (!e.task || !e.step) return std::nullopt;
    e.token = registry_.token(e.task.get());
    if (!e.token) return std::nullopt;
    context_then_.take(e.context.get());
    return e;
}

void TaskPool::make_current(Entry& e) {
    registry_.list(e.token.get());
#if PY_VERSION_HEX >= 0x030E0000
    PyObject* args[] = {loop_.get(), e.task.get()};
    Ref done = Ref::steal(PyObject_Vectorcall(enter_.get(), args, 2, nullptr));
    const bool ok = static_cast<bool>(done);
#else
    const bool ok = PyDict_SetItem(current_tasks_.get(), loop_.get(), e.task.get()) == 0;
#endif
    if (!ok) PyErr_WriteUnraisable(e.task.get());
    current_ = true;
    task_then_.take(e.task.get());
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
    registry_.unlist(spare_->token.get());
}

void TaskPool::discard() {
    settle();
    Entry e = std::move(*spare_);
    spare_.reset();
    end(std::move(e));
}

// Its coroutine has nothing to do and ends in the first step, so that it is not "destroyed but pending".
void TaskPool::end(Entry e) {
    Ref done = Ref::steal(PyObject_CallNoArgs(e.step.get()));
    if (!done) PyErr_WriteUnraisable(e.task.get());
}

// The handler waits: its task is asyncio's from here.
void TaskPool::go_on(ExchangePtr x, Entry e, Ref yielded) {
    made_.add();
    RequestCoroutine& outer = RequestCoroutine::of(e.coroutine.get());
    if (yielded.get() == Py_None && !core_->debug) {
        // sleep(0): the task's own first step would find a bare yield and queue the second. The first is as
        // good as the second, and is at hand.
        outer.adopt(std::move(x), e.task, e.token, {});
        Ref handle = Ref::steal(core_->call_soon(e.step.get(), empty_.get(), e.context.get()));
        if (!handle) PyErr_WriteUnraisable(e.task.get());
        return;
    }
    outer.adopt(std::move(x), e.task, e.token, std::move(yielded));
    end(std::move(e));
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
        if (!task_then_.unchanged(e.task.get())) cancel_if_asked(e.task.get(), *outcome);
        outer.inner = runner_->finish(*x, *outcome).release();
    }
    // The task goes on by itself; or somebody has seen it, and must see it end.
    if (yielded || !ablations_.pooled_task || !task_then_.unchanged(e.task.get())) {
        make_idle(e);
        Entry used = std::move(e);
        spare_.reset();
        Ref context = used.context;
        if (yielded) {
            go_on(std::move(x), std::move(used), std::move(yielded));
        } else {
            if (outcome) outer.conclude(used.task.get(), *outcome);
            end(std::move(used));
        }
        if (PyContext_Exit(context.get()) < 0) PyErr_WriteUnraisable(loop_.get());
        return;
    }
    if (PyContext_Exit(e.context.get()) < 0) PyErr_WriteUnraisable(e.task.get());
    if (!context_then_.unchanged(e.context.get())) discard();
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
