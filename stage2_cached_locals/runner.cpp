#include "stage2_cached_locals/runner.hpp"

#include <asio/post.hpp>
#include <utility>

#include "common/app/in_context.hpp"
#include "common/python/errors.hpp"
#include "stage2_cached_locals/kept_answer.hpp"

namespace stage {

using namespace asioserve;
using app::InContext;

namespace {
constexpr const char* capsule_name = "stage.Runner";
}  // namespace

// A request that is on its way; one after the other has the same object. It belongs to the I/O thread while
// it is free or done, to the loop's thread (and the GIL) while it runs, and crosses by being in a batch.
struct Runner::Request final : Item, app::GuardOwner {
    explicit Request(Runner& r) : runner(r) {}

    void on_first_step() override ASIOSERVE_REQUIRES(py::gil) { --runner.first_steps_to_come_; }
    Computation* on_end(Outcome& outcome) override ASIOSERVE_REQUIRES(py::gil) {
        // asyncio.Task looks at this only after us: a task that is cancelled in its last step is cancelled.
        if (outcome.ok())
            if (py::Ref cancelled = runner.cached_->cancelled(task.get()))
                outcome = Outcome::raised(std::move(cancelled));
        Step step = runner.handler_.finish(*exchange, outcome, [&](const AnswerView& a) { answer.keep(a); });
        if (step.next) return step.next;
        if (!outcome.ok() && !app::ends_the_program(outcome)) runner.cached_->retrieve_current();
        runner.hand_back(*this);
        return nullptr;
    }
    void arrive(Runner& r) override {
        if (state == State::done) return r.finish(*this);
        py::gil.assert_held();
        r.begin(*this);
    }
    void discard(Runner& r) override {
        py::gil.assert_held();
        if (state != State::done) r.give_up(*this);
        given_up = true;  // nothing sends a kept answer any more, and this is not the I/O thread
        r.finish(*this);
    }

    Runner& runner;
    ExchangePtr exchange;
    enum class State : char { free, crossing, running, done } state = State::free;
    bool given_up = false;
    Computation* next = nullptr;  // was made on the I/O thread already
    py::Ref context, guard, task;
    KeptAnswer answer;
    Request* next_free = nullptr;
};

// Something to run on the other side.
struct Runner::JobItem final : Item {
    JobItem(Job j, Counter& c) : job(std::move(j)), arrivals(c) {}
    void arrive(Runner&) override {
        arrivals.add();
        job();
        delete this;
    }
    void discard(Runner&) override { delete this; }

    Job job;
    Counter& arrivals;
};

Runner::Runner(asio::io_context& io, Handler& handler) : io_(io), handler_(handler) {
    py::GilAcquire held;
    auto cached = std::make_unique<Cached>();
    guards_ = std::make_unique<app::Guards>();
    cached_ = std::move(cached);
}

Runner::~Runner() {
    py::GilAcquire held;
    end();
    flush_.reset();
    cached_.reset();
    guards_.reset();
}

int Runner::run(Program& program) {
    loop_thread_ = std::this_thread::get_id();
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
    end();
    return code;
}

template <void (Runner::*member)()>
PyObject* Runner::call(PyObject* capsule, PyObject*) {
    py::gil.assert_held();
    (static_cast<Runner*>(PyCapsule_GetPointer(capsule, capsule_name))->*member)();
    return py::new_reference(Py_None);
}

void Runner::on_loop(PyObject* loop) {
    static PyMethodDef drain_def = {"drain", call<&Runner::drain>, METH_NOARGS, nullptr};
    static PyMethodDef flush_def = {"flush", call<&Runner::flush>, METH_NOARGS, nullptr};
    cached_->bind(loop);
    py::Ref self = py::must(PyCapsule_New(this, capsule_name, nullptr));
    flush_ = py::must(PyCFunction_New(&flush_def, self.get()));
    py::Ref reader = py::must(PyCFunction_New(&drain_def, self.get()));
    py::must(PyObject_CallMethod(loop, "add_reader", "iO", wake_fd_.get(), reader.get()));
    wake_loop();  // for what has come already
}

Runner::Request& Runner::new_request(ExchangePtr x) {
    if (!free_) {
        requests_.emplace_back(*this);
        free_ = &requests_.back();
    }
    Request& r = *std::exchange(free_, free_->next_free);
    r.exchange = std::move(x);
    r.exchange->runner_slot = &r;
    r.state = Request::State::crossing;
    return r;
}

void Runner::start(ExchangePtr x, Kind kind) {
    on_io_.requests.add();
    if (kind == Kind::coroutine) {
        cross_to_loop(new_request(std::move(x)));
        return;
    }
    py::GilAcquire held;
    on_io_.gil_acquisitions.add();
    py::Ref context = py::Ref::steal(PyContext_New());
    Step step;
    {
        InContext own(context);
        step = handler_.start(*x, [&](const AnswerView& answer) { x->answer(answer); });
    }
    if (!step.next) return;
    Request& r = new_request(std::move(x));
    r.context = std::move(context);
    r.next = step.next;
    cross_to_loop(r);
}

// [2.2-batches]
void Runner::cross_to_loop(Item& item) {
    if (to_loop_.push(item)) {
        // The first of a batch. On the I/O thread the wake-up waits until all that is ready there has been
        // handled.
        if (io_thread_.load(std::memory_order_relaxed) == std::this_thread::get_id())
            asio::post(io_, [this] { wake_loop(); });
        else
            wake_loop();
    }
    if (!ended_.load(std::memory_order_seq_cst)) return;
    py::GilAcquire held;
    end();
}

void Runner::wake_loop() {
    wake_ups_.fetch_add(1, std::memory_order_relaxed);
    wake_fd_.wake();
}

// The loop's reader callback for wake_fd_.
void Runner::drain() {
    on_loop_.gil_acquisitions.add();
    wake_fd_.clear();
    cached_->look_for_task_factory();
    const bool was_scheduled = std::exchange(flush_scheduled_, true);
    for (Item* item = to_loop_.take(); item;) {
        std::exchange(item, item->next)->arrive(*this);
        if (PyErr_Occurred()) PyErr_WriteUnraisable(nullptr);  // a job's; it may not reach the loop
    }
    flush_scheduled_ = was_scheduled;
    // Behind the first steps of the new tasks, so that what they answer goes back together.
    if (first_steps_to_come_ > 0)
        schedule_flush();
    else if (!flush_scheduled_)
        flush();
}
// [2.2-batches]

void Runner::begin(Request& r) {
    on_loop_.hand_offs.add();
    if (!r.context) {
        r.context = py::Ref::steal(PyContext_New());
        Step step;
        {
            InContext own(r.context);
            step = handler_.start(*r.exchange, [&](const AnswerView& answer) { r.answer.keep(answer); });
        }
        if (!step.next) return hand_back(r);
        r.next = step.next;
    }
    submit(r, std::exchange(r.next, nullptr));
}

void Runner::submit(Request& r, Computation* next) {
    r.state = Request::State::running;
    py::Ref guard = r.guard = guards_->make(take_coroutine(next), r);
    ++first_steps_to_come_;
    py::Ref task = guard ? cached_->new_task(guard.get(), r.context.get()) : py::Ref();
    on_loop_.tasks.add();
    // An eager task may have ended by now, and the request with it: it is not ours to touch any more.
    if (task && app::Guards::ended(guard.get())) return;
    r.task = std::move(task);
    if (r.task) return;
    PyErr_WriteUnraisable(guard.get());  // the loop is closed, a task factory raised, or memory is out
    --first_steps_to_come_;
    give_up(r);
    hand_back(r);
}
// [2.4-hand-back]
// On the loop's thread, perhaps inside the last step of the task: the answer is bytes already.
void Runner::hand_back(Request& r) {
    r.task.reset();
    r.guard.reset();
    r.context.reset();
    r.state = Request::State::done;
    if (!to_io_.push(r)) return;
    io_wake_up_owed_ = true;
    schedule_flush();
}

void Runner::schedule_flush() {
    if (flush_scheduled_) return;
    flush_scheduled_ = cached_->call_soon(flush_.get());
    if (flush_scheduled_) return;
    flush();
}

void Runner::flush() {
    flush_scheduled_ = false;
    if (std::exchange(io_wake_up_owed_, false)) wake_io();
}

void Runner::wake_io() {
    wake_ups_.fetch_add(1, std::memory_order_relaxed);
    asio::post(io_, [this] {
        for (Item* item = to_io_.take(); item;) std::exchange(item, item->next)->arrive(*this);
    });
}

void Runner::finish(Request& r) {
    on_io_.hand_offs.add();
    if (r.given_up)
        r.exchange->fail();
    else
        r.answer.give(*r.exchange);
    r.exchange->runner_slot = nullptr;
    r.exchange = {};
    r.answer.clear();
    r.given_up = false;
    r.state = Request::State::free;
    r.next_free = std::exchange(free_, &r);
}
// [2.4-hand-back]

// Ends the Python side of a request that will not be driven any further.
void Runner::give_up(Request& r) {
    if (r.guard) app::Guards::disown(r.guard.get());
    if (r.task) app::give_up_task(r.task.get());
    if (r.next) {
        py::Ref unstarted = take_coroutine(std::exchange(r.next, nullptr));
        py::Ref closed = py::Ref::steal(PyObject_CallMethod(unstarted.get(), "close", nullptr));
        PyErr_Clear();
    }
    handler_.abort(*r.exchange);
    r.task.reset();
    r.guard.reset();
    r.context.reset();
    r.given_up = true;
}

// The loop has ended, and I/O too: nothing crosses any more.
void Runner::end() {
    ended_.store(true, std::memory_order_seq_cst);
    for (Batch* batch : {&to_io_, &to_loop_})
        for (Item* item = batch->take(); item;) std::exchange(item, item->next)->discard(*this);
    for (Request& r : requests_) {
        if (r.state != Request::State::running) continue;
        give_up(r);
        finish(r);
    }
}

void Runner::cancel(Exchange& x) {
    auto* r = static_cast<Request*>(x.runner_slot);
    if (!r) return;
    to_python([this, r, x = ExchangePtr(x)] {
        py::gil.assert_held();
        // While there is a task the request is ours to look at; it may be another one's by now.
        if (r->task && r->exchange.get() == x.get()) cached_->cancel(r->task.get());
    });
}

void Runner::to_python(Job job) {
    cross_to_loop(*new JobItem(std::move(job), on_loop_.hand_offs));
}

void Runner::to_io(Job job) {
    if (!to_io_.push(*new JobItem(std::move(job), on_io_.hand_offs))) return;
    if (loop_thread_.load(std::memory_order_relaxed) != std::this_thread::get_id() || !PyGILState_Check())
        return wake_io();
    py::gil.assert_held();
    io_wake_up_owed_ = true;
    schedule_flush();
}

Counters Runner::counters() const {
    return {.requests = on_io_.requests.get(),
            .gil_acquisitions = on_io_.gil_acquisitions.get() + on_loop_.gil_acquisitions.get(),
            .hand_offs = on_io_.hand_offs.get() + on_loop_.hand_offs.get(),
            .wake_ups = wake_ups_.load(std::memory_order_relaxed),
            .tasks = on_loop_.tasks.get()};
}

}  // namespace stage
