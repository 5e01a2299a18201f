#include "stage1_cross_thread/runner.hpp"

#include <asio/post.hpp>
#include <utility>

#include "common/app/in_context.hpp"
#include "common/python/errors.hpp"

namespace stage {

using namespace asioserve;
using app::InContext;

namespace {
constexpr const char* capsule_name = "stage.Runner";

py::Ref name_of(const char* text) ASIOSERVE_REQUIRES(py::gil) {
    return py::must(PyUnicode_InternFromString(text));
}
py::Ref module_of(const char* name) ASIOSERVE_REQUIRES(py::gil) {
    return py::must(PyImport_ImportModule(name));
}

/// A Python callable that is this C function with `context` (a PyCapsule) as its self.
py::Ref callable(PyMethodDef& def, py::Ref context) ASIOSERVE_REQUIRES(py::gil) {
    return context ? py::Ref::steal(PyCFunction_New(&def, context.get())) : py::Ref();
}
}  // namespace

// Modules and interned names: what a compiled extension has at hand. What is looked up in them is not kept.
struct Runner::Names {
    py::Ref state = py::must(PyModule_New("stage1_state"));  // where the loop is found: state.loop
    py::Ref asyncio = module_of("asyncio"), contextvars = module_of("contextvars");
    py::Ref futures = module_of("concurrent.futures");
    py::Ref loop = name_of("loop"), copy_context = name_of("copy_context"), result = name_of("result");
    py::Ref run_coroutine_threadsafe = name_of("run_coroutine_threadsafe"),
            current_task = name_of("current_task");
    py::Ref add_done_callback = name_of("add_done_callback"), cancel = name_of("cancel");
    py::Ref call_soon_threadsafe = name_of("call_soon_threadsafe"),
            cancelled_error = name_of("CancelledError");
};

// [1.1-task-locals]
// What a coroutine needs to run on a thread that is not ours: which loop, and whose context variables.
struct Runner::TaskLocals {
    py::Ref loop, context;
};

py::Ref Runner::loop() const {
    return py::Ref::steal(PyObject_GetAttr(names_->state.get(), names_->loop.get()));
}

Runner::TaskLocals Runner::task_locals() const {
    return {loop(),
            py::Ref::steal(PyObject_CallMethodNoArgs(names_->contextvars.get(), names_->copy_context.get()))};
}
// [1.1-task-locals]

// A request that is on its way. I/O thread; the Python objects under the GIL.
struct Runner::Request final : app::GuardOwner {
    Request(Runner& r, ExchangePtr x, TaskLocals l)
        : runner(r), exchange(std::move(x)), locals(std::move(l)) {
        exchange->runner_slot = this;
    }

    void on_first_step() override ASIOSERVE_REQUIRES(py::gil) {
        ++runner.begun_;
        task = py::Ref::steal(
            PyObject_CallMethodNoArgs(runner.names_->asyncio.get(), runner.names_->current_task.get()));
        if (cancel_wanted) cancel();
    }
    Computation* on_end(Outcome& outcome) override ASIOSERVE_REQUIRES(py::gil) {
        // The task has a copy of the context; what the handler set there is for its streamed body too.
        locals.context = py::Ref::steal(PyContext_CopyCurrent());
        if (app::ends_the_program(outcome)) exit = py::Ref::borrow(outcome.object());
        return nullptr;
    }
    void cancel() ASIOSERVE_REQUIRES(py::gil) {
        cancel_wanted = true;
        if (!task) return;
        py::Ref done = py::Ref::steal(PyObject_CallMethodNoArgs(task.get(), runner.names_->cancel.get()));
        if (!done) PyErr_WriteUnraisable(task.get());
    }
    Outcome outcome() ASIOSERVE_REQUIRES(py::gil) {
        if (exit) return Outcome::raised(std::exchange(exit, {}));
        const Names& names = *runner.names_;
        if (py::Ref value = py::Ref::steal(PyObject_CallMethodNoArgs(future.get(), names.result.get())))
            return Outcome::returned(std::move(value));
        Outcome raised = Outcome::raised_now();
        // concurrent.futures has a CancelledError of its own; handlers and asyncio mean the other one.
        py::Ref theirs = py::Ref::steal(PyObject_GetAttr(names.futures.get(), names.cancelled_error.get()));
        if (!PyErr_GivenExceptionMatches(raised.object(), theirs.get())) return raised;
        return Outcome::raised(
            py::Ref::steal(PyObject_CallMethodNoArgs(names.asyncio.get(), names.cancelled_error.get())));
    }

    Runner& runner;
    ExchangePtr exchange;
    TaskLocals locals;
    py::Ref guard, task, future, exit;
    bool cancel_wanted = false;
    std::list<Request>::iterator self;
};

Runner::Runner(asio::io_context& io, Handler& handler) : io_(io), handler_(handler) {
    py::GilAcquire held;
    names_ = std::make_unique<const Names>();
    guards_ = std::make_unique<app::Guards>();
}

Runner::~Runner() {
    py::GilAcquire held;
    while (!requests_.empty()) give_up(requests_.front());
    early_.clear();
    guards_.reset();
    names_.reset();
}

int Runner::run(Program& program) {
    std::thread io([&] {
        io_thread_ = std::this_thread::get_id();
        // Keeps this thread's state between requests; to make one for each would cost a microsecond more.
        py::GilAcquire held;
        py::GilRelease released;
        program.drive_io();
    });
    int code;
    {
        py::GilAcquire held;
        code = program.main(nullptr, [this](PyObject* loop) {
            py::gil.assert_held();
            on_loop(loop);
        });
    }
    io.join();
    py::GilAcquire held;
    life_ = Life::after;
    while (!requests_.empty()) give_up(requests_.front());
    PyObject_SetAttr(names_->state.get(), names_->loop.get(), Py_None);
    return code;
}

void Runner::on_loop(PyObject* loop) {
    py::must_not_fail(PyObject_SetAttr(names_->state.get(), names_->loop.get(), loop));
    life_ = Life::running;
    for (Job& job : std::exchange(early_, {})) to_python(std::move(job));
}

void Runner::start(ExchangePtr x, Kind kind) {
    py::GilAcquire held;
    gil_acquisitions_.add();
    requests_started_.add();
    TaskLocals locals =
        kind == Kind::coroutine ? task_locals() : TaskLocals{{}, py::Ref::steal(PyContext_New())};
    Step step;
    {
        InContext own(locals.context);
        step = handler_.start(*x, [&](const AnswerView& answer) { x->answer(answer); });
    }
    if (!step.next) return;
    requests_.emplace_front(*this, std::move(x), std::move(locals));
    requests_.front().self = requests_.begin();
    submit(requests_.front(), step.next);
}

// [1.2-submit]
void Runner::submit(Request& r, Computation* next) {
    if (!r.locals.loop) r.locals.loop = loop();
    r.guard = guards_->make(take_coroutine(next), r);
    r.task.reset();
    // The loop thread is asleep if it has begun all that it was given: this submission will wake it.
    if (begun_ == tasks_.get()) gil_acquisitions_.add();
    py::Ref future;
    if (r.guard && r.locals.loop) {
        InContext own(r.locals.context);
        PyObject* arguments[] = {names_->asyncio.get(), r.guard.get(), r.locals.loop.get()};
        future = py::Ref::steal(
            PyObject_VectorcallMethod(names_->run_coroutine_threadsafe.get(), arguments, 3, nullptr));
    }
    static PyMethodDef def = {"hand_back", hand_back, METH_O, nullptr};
    py::Ref callback =
        future ? callable(def, py::Ref::steal(PyCapsule_New(&r, capsule_name, nullptr))) : py::Ref();
    py::Ref added = callback ? py::Ref::steal(PyObject_CallMethodOneArg(
                                   future.get(), names_->add_done_callback.get(), callback.get()))
                             : py::Ref();
    if (!added) {  // the loop is closed (shutdown), or memory is out
        PyErr_Clear();
        give_up(r);
        return;
    }
    tasks_.add();
    hand_offs_.add();
    wake_ups_.add();  // call_soon_threadsafe writes a byte to the loop's own socket, whether it sleeps or not
}
// [1.2-submit]

// [1.3-hand-back]
// The future's done callback: on the loop's thread, as the result is set there.
PyObject* Runner::hand_back(PyObject* capsule, PyObject* future) {
    py::gil.assert_held();
    auto& r = *static_cast<Request*>(PyCapsule_GetPointer(capsule, capsule_name));
    Runner& self = r.runner;
    r.future = py::Ref::borrow(future);
    self.hand_offs_.add();
    self.post_to_io([&self, &r] { self.finish(r); });
    return py::new_reference(Py_None);
}

void Runner::finish(Request& r) {
    py::GilAcquire held;
    gil_acquisitions_.add();
    Step step;
    {
        InContext own(r.locals.context);
        Outcome outcome = r.outcome();
        step = handler_.finish(*r.exchange, outcome,
                               [&](const AnswerView& answer) { r.exchange->answer(answer); });
    }
    if (step.next)
        submit(r, step.next);
    else
        forget(r);
}
// [1.3-hand-back]

void Runner::forget(Request& r) {
    r.exchange->runner_slot = nullptr;
    requests_.erase(r.self);
}

void Runner::give_up(Request& r) {
    if (r.guard) app::Guards::disown(r.guard.get());
    if (r.task) app::give_up_task(r.task.get());
    handler_.abort(*r.exchange);
    r.exchange->fail();
    forget(r);
}

void Runner::cancel(Exchange& x) {
    if (!x.runner_slot) return;
    to_python([x = ExchangePtr(x)] {
        py::gil.assert_held();
        // Written under the GIL: it is null by now if the request has ended meanwhile.
        if (auto* r = static_cast<Request*>(x->runner_slot)) r->cancel();
    });
}

void Runner::to_python(Job job) {
    const bool counts = PyGILState_Check() == 0;
    py::GilAcquire held;
    if (counts) gil_acquisitions_.add();
    Job owned = std::move(job);  // destroyed with the GIL held
    if (life_ == Life::after) return;
    if (life_ == Life::before) {
        early_.push_back(std::move(owned));
        return;
    }
    static PyMethodDef def = {"run_job", run_job, METH_NOARGS, nullptr};
    auto destroy = [](PyObject* c) { delete static_cast<Job*>(PyCapsule_GetPointer(c, capsule_name)); };
    py::Ref callback =
        callable(def, py::Ref::steal(PyCapsule_New(new Job(std::move(owned)), capsule_name, destroy)));
    py::Ref on = callback ? loop() : py::Ref();
    py::Ref handle = on ? py::Ref::steal(PyObject_CallMethodOneArg(
                              on.get(), names_->call_soon_threadsafe.get(), callback.get()))
                        : py::Ref();
    if (!handle) {  // the loop is closed: the capsule goes, and the job with it
        PyErr_Clear();
        return;
    }
    hand_offs_.add();
    wake_ups_.add();
}

PyObject* Runner::run_job(PyObject* capsule, PyObject*) {
    (*static_cast<Job*>(PyCapsule_GetPointer(capsule, capsule_name)))();
    if (PyErr_Occurred()) PyErr_WriteUnraisable(capsule);
    return py::new_reference(Py_None);
}

void Runner::to_io(Job job) {
    post_to_io([this, job = std::move(job)]() mutable {
        io_jobs_.add();
        job();
    });
}

template <class F>
void Runner::post_to_io(F f) {
    // Asio makes a system call only to wake a thread that blocks; with work waiting it does not.
    const bool elsewhere = io_thread_.load(std::memory_order_relaxed) != std::this_thread::get_id();
    if (waiting_for_io_.fetch_add(1, std::memory_order_relaxed) == 0 && elsewhere)
        io_wake_ups_.fetch_add(1, std::memory_order_relaxed);
    asio::post(io_, [this, f = std::move(f)]() mutable {
        waiting_for_io_.fetch_sub(1, std::memory_order_relaxed);
        f();
    });
}

Counters Runner::counters() const {
    return {.requests = requests_started_.get(),
            .gil_acquisitions = gil_acquisitions_.get(),
            .hand_offs = hand_offs_.get() + io_jobs_.get(),
            .wake_ups = wake_ups_.get() + io_wake_ups_.load(std::memory_order_relaxed),
            .tasks = tasks_.get()};
}

}  // namespace stage
