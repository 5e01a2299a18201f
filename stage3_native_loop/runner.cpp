#include "stage3_native_loop/runner.hpp"

#include <asio/post.hpp>

#include "stage3_native_loop/native/core/module.hpp"
#include "stage3_native_loop/request_task.hpp"

namespace stage {

using asioserve::AnswerView;
using asioserve::Counters;
using asioserve::Exchange;
using asioserve::ExchangePtr;
using asioserve::Job;
using asioserve::Kind;
using asioserve::Outcome;
using asioserve::Step;
using asioserve::py::gil;
using asioserve::py::GilAcquire;
using asioserve::py::Ref;

int Runner::run(asioserve::Program& program) {
    GilAcquire hold;
    program_ = &program;
    // [3.1-one-loop]
    // asyncio.Runner calls the class for its loop: the loop is made on the io_context that the server runs
    // on.
    Ref asioloop_module = Ref::steal(PyImport_ImportModule("asioloop"));
    Ref base = asioloop_module ? Ref::steal(PyObject_GetAttrString(asioloop_module.get(), "Loop")) : Ref();
    Ref capsule = base ? Ref::steal(PyCapsule_New(&io_, asioloop::kIoCapsule, nullptr)) : Ref();
    Ref loop_class = capsule ? Ref::steal(PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyType_Type),
                                                                "s(O){s:O,s:s}", "Loop", base.get(), "_io",
                                                                capsule.get(), "__module__", "asioloop"))
                             : Ref();
    // [3.1-one-loop]
    if (!loop_class) {
        PyErr_Print();
        return 1;
    }
    const int code = program.main(loop_class.get(), [this](PyObject* loop) {
        gil.assert_held();
        attach(loop);
    });
    detach();
    return code;
}

void Runner::attach(PyObject* loop) {
    core_ = asioloop::core_of(loop);
    if (!core() || !tasks_.attach(*this, *core(), loop)) {
        PyErr_Print();
        Py_FatalError("the loop of stage 3 could not be set up");
    }
    core()->hook(this);
}

void Runner::detach() {
    if (core()) {
        ended_ = counters();
        core()->hook(nullptr);
        core_ = nullptr;
    }
    deferred_.clear();
    tasks_.detach();
    std::vector<Job> jobs;
    {
        std::lock_guard lock(jobs_mutex_);
        ended_jobs_ = true;
        jobs.swap(jobs_);
    }
}

void Runner::start(ExchangePtr x, Kind kind) {
    if (!core()) return x->fail();
    // A request that becomes ready inside a handler's or a callback's step (pipelining) must not run in its
    // context.
    if (stepping_ > 0 || core()->in_callback()) {
        deferred_.emplace_back(std::move(x), kind);
        return;
    }
    core()->ensure_gil();
    gil.assert_held();
    requests_.add();
    ++stepping_;
    // [3.2-first-step]
    if (kind == Kind::plain) {
        tasks_.settle();  // asyncio lets go of a current task only while its loop is the running one
        core()->hide_running();
        tasks_.run_plain(std::move(x));
    } else {
        core()->show_running();
        tasks_.run(std::move(x));
    }
    // [3.2-first-step]
    --stepping_;
}

void Runner::run_deferred() {
    while (!deferred_.empty()) {
        auto ready = std::exchange(deferred_, {});
        for (auto& [x, kind] : ready) start(std::move(x), kind);
    }
}

bool Runner::end_turn() {
    return program_->server().end_turn();
}

Ref Runner::begin(Exchange& x) {
    const Step step = handler_.start(x, [&x](const AnswerView& answer) { x.answer(answer); });
    return asioserve::take_coroutine(step.next);
}

Ref Runner::finish(Exchange& x, Outcome& outcome) {
    const Step step = handler_.finish(x, outcome, [&x](const AnswerView& answer) { x.answer(answer); });
    return asioserve::take_coroutine(step.next);
}

void Runner::cancel(Exchange& x) {
    if (!core() || !x.runner_slot) return;
    core()->ensure_gil();
    gil.assert_held();
    auto* coroutine = static_cast<RequestCoroutine*>(x.runner_slot);
    if (!coroutine->task) return;
    Ref task = Ref::borrow(coroutine->task);
    Ref done = Ref::steal(PyObject_CallMethod(task.get(), "cancel", nullptr));
    if (!done) PyErr_WriteUnraisable(task.get());
}

void Runner::to_python(Job job) {
    if (core() && core()->on_loop_thread()) {
        core()->ensure_gil();
        job();
        return;
    }
    {
        std::unique_lock lock(jobs_mutex_);
        if (!ended_jobs_) {
            const bool first = jobs_.empty();
            jobs_.push_back(std::move(job));
            lock.unlock();
            if (first) asio::post(io_, [this] { drain_jobs(); });
            return;
        }
    }
    GilAcquire hold;
    [[maybe_unused]] const Job unrun = std::move(job);
}

void Runner::drain_jobs() {
    if (!core()) return;
    core()->ensure_gil();
    std::vector<Job> jobs;
    {
        std::lock_guard lock(jobs_mutex_);
        jobs.swap(jobs_);
    }
    for (Job& job : jobs) job();
}

void Runner::to_io(Job job) {
    if (core() && core()->on_loop_thread())
        job();
    else
        asio::post(io_, std::move(job));
}

Counters Runner::counters() const {
    if (!core()) return ended_;
    Counters c;
    c.requests = requests_.get();
    c.gil_acquisitions = core()->gil_acquisitions().get();
    c.wake_ups = core()->wake_ups().get();
    c.tasks = tasks_.tasks().get();
    return c;
}

}  // namespace stage
