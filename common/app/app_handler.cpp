#include "common/app/app_handler.hpp"

#include "common/app/call.hpp"
#include "common/app/computation.hpp"
#include "common/app/native_request.hpp"
#include "common/app/note.hpp"
#include "common/app/reply.hpp"
#include "common/app/shared.hpp"
#include "common/app/sink.hpp"
#include "common/app/unmatched.hpp"
#include "common/python/errors.hpp"

namespace asioserve {

using app::Note;
using app::Phase;
using app::Plan;
using app::Replied;
using app::RoutePlan;
using app::SinkState;
using app::Verdict;

namespace {

bool is_a(PyObject* o, const py::Ref& type) ASIOSERVE_REQUIRES(py::gil) {
    return PyObject_TypeCheck(o, reinterpret_cast<PyTypeObject*>(type.get())) != 0;
}

bool is_a(PyObject* o, PyObject* type) ASIOSERVE_REQUIRES(py::gil) {
    return PyObject_TypeCheck(o, reinterpret_cast<PyTypeObject*>(type)) != 0;
}

// Anything that a runner can drive: it has send, throw and close. Checked only where no coroutine of
// CPython's own is.
bool is_driveable(PyObject* o) ASIOSERVE_REQUIRES(py::gil) {
    if (PyCoro_CheckExact(o)) return true;
    const PyAsyncMethods* async = Py_TYPE(o)->tp_as_async;
    return async != nullptr && async->am_await != nullptr && PyObject_HasAttrString(o, "send") != 0 &&
           PyObject_HasAttrString(o, "throw") != 0 && PyObject_HasAttrString(o, "close") != 0;
}

}  // namespace

class AppHandler::Core {
  public:
    explicit Core(Options options) : shared(std::make_shared<app::Shared>(std::move(options))) {}

    Step start(Exchange& x, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil);
    Step finish(Exchange& x, Outcome& outcome, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil);
    void release(Note& note) noexcept ASIOSERVE_REQUIRES(py::gil);

    const std::shared_ptr<app::Shared> shared;

  private:
    const Plan& plan() const noexcept { return *shared->plan; }
    PyObject* request(Exchange& x, Note& note) ASIOSERVE_REQUIRES(py::gil);
    bool prepare(Exchange& x, Note& note) ASIOSERVE_REQUIRES(py::gil);
    Step result(Exchange& x, Note& note, py::Ref value, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil);
    Step send(Exchange& x, Note& note, PyObject* value, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil);
    Step pump(Exchange& x, Note& note, PyObject* response, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil);
    Step pumped(Exchange& x, Note& note, Outcome& outcome, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil);
    Step failed(Exchange& x, Note& note, py::Ref exception, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil);
    Step failed_now(Exchange& x, Note& note, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil) {
        return failed(x, note, py::take_raised(), answer);
    }
    Step crashed(Exchange& x, Note& note, PyObject* exception, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil);
    bool answered_by_default(PyObject* exception, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil);
    bool peer_left(const Note& note) const ASIOSERVE_REQUIRES(py::gil);
    bool peer_ended(const Note& note) const ASIOSERVE_REQUIRES(py::gil);
    Step done(Note& note) ASIOSERVE_REQUIRES(py::gil) {
        release(note);
        return {};
    }
};

void AppHandler::Core::release(Note& note) noexcept {
    if (note.sink != nullptr) app::close_sink(note.sink);
    if (note.native != nullptr) app::NativeRequest::of(note.native).over();
    note.release();
}

// The asioserve.Request of this exchange, made when it is needed first; null with an exception set.
PyObject* AppHandler::Core::request(Exchange& x, Note& note) {
    if (note.request != nullptr) return note.request;
    if (note.native == nullptr) note.native = app::make_native_request(shared, x).release();
    if (note.native == nullptr) return nullptr;
    note.request = PyObject_CallOneArg(plan().request_class.get(), note.native);
    return note.request;
}

// Listens for the peer's leaving where the app asked for a cancel. False: it has left already.
bool AppHandler::Core::prepare(Exchange& x, Note& note) {
    if (shared->on_io_thread() && x.peer_left()) return false;
    if (note.native == nullptr) note.native = app::make_native_request(shared, x).release();
    if (note.native == nullptr)
        PyErr_WriteUnraisable(nullptr);
    else if (app::Channel* channel = app::NativeRequest::of(note.native).channel())
        channel->attach(true);
    return true;
}

Step AppHandler::Core::start(Exchange& x, AnswerSink answer) {
    Note& note = x.note_as<Note>();
    const RoutePlan* route = note.route;
    const py::Ref& entry = route != nullptr ? route->entry : plan().entry;
    if (route != nullptr && route->cancel_on_disconnect && route->kind == Kind::coroutine &&
        !prepare(x, note)) [[unlikely]] {
        app::reply_internal_error(answer);
        return done(note);
    }
    if (entry) [[unlikely]] {
        PyObject* r = request(x, note);
        py::Ref made = r == nullptr ? py::Ref() : py::Ref::steal(PyObject_CallOneArg(entry.get(), r));
        return made ? result(x, note, std::move(made), answer) : failed_now(x, note, answer);
    }
    if (route == nullptr) [[unlikely]] {
        app::raise_unmatched(plan(), x, note.verdict);
        return failed_now(x, note, answer);
    }
    PyObject* wanted = nullptr;
    if (route->wants_request) {
        wanted = request(x, note);
        if (wanted == nullptr) return failed_now(x, note, answer);
    }
    py::Ref made = app::call_endpoint(plan(), *route, x, note, wanted);
    if (!made) [[unlikely]]
        return failed_now(x, note, answer);
    return result(x, note, std::move(made), answer);
}

// What a call gave: something to drive, or the result itself (also of an async def behind a plain callable).
Step AppHandler::Core::result(Exchange& x, Note& note, py::Ref value, AnswerSink answer) {
    if (PyCoro_CheckExact(value.get())) [[likely]]
        return Step{as_computation(std::move(value))};
    if (PyDict_CheckExact(value.get())) [[likely]]
        return send(x, note, value.get(), answer);
    if (is_driveable(value.get())) return Step{as_computation(std::move(value))};
    return send(x, note, value.get(), answer);
}

Step AppHandler::Core::send(Exchange& x, Note& note, PyObject* value, AnswerSink answer) {
    const int status = note.route != nullptr && note.phase == Phase::endpoint ? note.route->status : 200;
    switch (app::reply(plan(), status, value, answer)) {
        case Replied::answered:
            return done(note);
        case Replied::stream:
            return pump(x, note, value, answer);
        case Replied::raised:
            break;
    }
    // What cannot be encoded is the endpoint's fault, but no exception of its own: no handler is asked.
    const py::Ref exception = py::take_raised();
    return crashed(x, note, exception.get(), answer);
}

Step AppHandler::Core::pump(Exchange& x, Note& note, PyObject* response, AnswerSink answer) {
    if (note.native == nullptr) note.native = app::make_native_request(shared, x).release();
    if (note.native != nullptr && note.sink == nullptr)
        note.sink = app::make_sink(*shared, note.native).release();
    py::Ref coroutine;
    if (note.sink != nullptr)
        coroutine = py::Ref::steal(PyObject_CallMethodOneArg(response, plan().names.pump.get(), note.sink));
    if (!coroutine) {
        const py::Ref exception = py::take_raised();
        return crashed(x, note, exception.get(), answer);
    }
    note.phase = Phase::stream;
    return Step{as_computation(std::move(coroutine))};
}

Step AppHandler::Core::pumped(Exchange& x, Note& note, Outcome& outcome, AnswerSink answer) {
    const SinkState state = note.sink == nullptr ? SinkState::fresh : app::sink_state(note.sink);
    PyObject* exception = outcome.ok() ? nullptr : outcome.object();
    if (state == SinkState::fresh) {
        if (exception != nullptr) return failed(x, note, py::Ref::borrow(exception), answer);
        app::reply_internal_error(answer);
        return done(note);
    }
    if (exception != nullptr &&
        (is_a(exception, PyExc_SystemExit) || is_a(exception, PyExc_KeyboardInterrupt)) && shared->exit_by)
        shared->exit_by(exception);
    else if (exception != nullptr && !peer_left(note) && !is_a(exception, plan().cancelled_error) &&
             !is_a(exception, plan().client_disconnected))
        shared->report(exception, x);
    // Half an answer: the connection is cut, so that the peer does not take it for a whole one.
    if (state != SinkState::finished && note.native != nullptr)
        if (app::Channel* channel = app::NativeRequest::of(note.native).channel()) channel->fail();
    return done(note);
}

Step AppHandler::Core::finish(Exchange& x, Outcome& outcome, AnswerSink answer) {
    Note& note = x.note_as<Note>();
    if (note.phase == Phase::stream) return pumped(x, note, outcome, answer);
    if (outcome.ok()) [[likely]]
        return send(x, note, outcome.object(), answer);
    return failed(x, note, py::Ref::borrow(outcome.object()), answer);
}

bool AppHandler::Core::peer_left(const Note& note) const {
    if (note.native == nullptr) return false;
    app::Channel* channel = app::NativeRequest::of(note.native).channel();
    return channel != nullptr && channel->broken();
}

bool AppHandler::Core::peer_ended(const Note& note) const {
    if (note.native == nullptr) return false;
    app::Channel* channel = app::NativeRequest::of(note.native).channel();
    return channel != nullptr && channel->ended();
}

// A 500, and the traceback in the log; a peer that left is nothing to log.
Step AppHandler::Core::crashed(Exchange& x, Note& note, PyObject* exception, AnswerSink answer) {
    const bool cancelled = is_a(exception, plan().cancelled_error) && peer_ended(note);
    if (!peer_left(note) && !cancelled && !is_a(exception, plan().client_disconnected))
        shared->report(exception, x);
    app::reply_internal_error(answer);
    return done(note);
}

Step AppHandler::Core::failed(Exchange& x, Note& note, py::Ref exception, AnswerSink answer) {
    PyObject* e = exception.get();
    if (is_a(e, PyExc_SystemExit) || is_a(e, PyExc_KeyboardInterrupt)) {
        app::reply_internal_error(answer);
        if (shared->exit_by) shared->exit_by(e);
        return done(note);
    }
    if (plan().on_exception && note.phase != Phase::exception && is_a(e, PyExc_Exception)) {
        const bool fresh = note.phase == Phase::endpoint;
        note.phase = Phase::exception;
        PyObject* r = request(x, note);
        PyObject* args[] = {nullptr, r, e};
        py::Ref handled =
            r == nullptr ? py::Ref()
                         : py::Ref::steal(PyObject_Vectorcall(plan().on_exception.get(), args + 1,
                                                              2 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
        if (!handled) {
            exception = py::take_raised();
            return crashed(x, note, exception.get(), answer);
        }
        if (handled.get() != Py_None) return result(x, note, std::move(handled), answer);
        if (fresh) note.phase = Phase::endpoint;
    }
    if (answered_by_default(e, answer)) return done(note);
    // What the default answer could not say (a detail that is no JSON) is worth a look too.
    if (PyErr_Occurred() != nullptr) {
        const py::Ref second = py::take_raised();
        return crashed(x, note, second.get(), answer);
    }
    return crashed(x, note, e, answer);
}

bool AppHandler::Core::answered_by_default(PyObject* e, AnswerSink answer) {
    const app::Names& n = plan().names;
    if (is_a(e, plan().http_exception)) {
        const py::Ref status = py::Ref::steal(PyObject_GetAttr(e, n.status_code.get()));
        const py::Ref detail = status ? py::Ref::steal(PyObject_GetAttr(e, n.detail.get())) : py::Ref();
        const py::Ref headers = detail ? py::Ref::steal(PyObject_GetAttr(e, n.headers.get())) : py::Ref();
        if (!headers) return false;
        const int code = static_cast<int>(PyLong_AsLong(status.get()));
        if (PyErr_Occurred() != nullptr) return false;
        return app::reply_detail(plan(), code, detail.get(), headers.get(), answer);
    }
    if (is_a(e, plan().validation_error)) {
        const py::Ref errors = py::Ref::steal(PyObject_GetAttr(e, n.errors.get()));
        return errors && app::reply_invalid(plan(), errors.get(), answer);
    }
    return false;
}

AppHandler::AppHandler(Options options) : core_(std::make_unique<Core>(std::move(options))) {}

AppHandler::~AppHandler() {
    core_->shared->runner.store(nullptr);
    if (core_->shared->plan && Py_IsInitialized() != 0) {
        py::GilAcquire held;
        unload();
    }
}

void AppHandler::load(PyObject* app) {
    app::Shared& shared = *core_->shared;
    const py::Ref module = py::must(PyImport_ImportModule("_asioserve"));
    const auto type = [&](const char* name) {
        py::gil.assert_held();
        return py::must(PyObject_GetAttrString(module.get(), name));
    };
    shared.types = {type("Request"), type("BodyStream"), type("Sink"), type("Ready")};
    shared.plan = std::make_unique<Plan>(app, shared.options.sync_pool);
}

void AppHandler::unload() noexcept {
    core_->shared->runner.store(nullptr);
    core_->shared->plan.reset();
    core_->shared->types = {};
}

void AppHandler::attach(Runner& runner, ExitBy exit_by) {
    core_->shared->exit_by = std::move(exit_by);
    core_->shared->runner.store(&runner);
}

void AppHandler::add_native(std::string path, NativePage page) {
    core_->shared->pages.insert_or_assign(std::move(path), std::move(page));
}

Routed AppHandler::route(Exchange& x) {
    app::Shared& shared = *core_->shared;
    if (!shared.on_io_thread()) shared.io_thread.store(std::this_thread::get_id(), std::memory_order_relaxed);
    const RequestHead& head = x.head();
    const auto answer = [&x](const AnswerView& view) { x.answer(view); };
    if (!shared.pages.empty() && (head.method_id == Method::get || head.method_id == Method::head)) {
        if (const auto page = shared.pages.find(head.path); page != shared.pages.end()) {
            const auto [type, body] = page->second();
            answer(AnswerView{200, type, body, {}});
            return {};
        }
    }
    const Plan& plan = *shared.plan;
    Note& note = x.note<Note>();
    app::match(plan, x, note);
    const bool has_body = head.content_length != 0;
    if (note.verdict == Verdict::route) [[likely]] {
        note.body = note.route->body;
        // Middleware may read the body of any request.
        if (note.route->entry && note.body == BodyMode::ignore && has_body) note.body = BodyMode::stream;
        return {note.route->kind, note.body};
    }
    if (plan.entry) {
        note.body = has_body ? BodyMode::stream : BodyMode::ignore;
        return {Kind::coroutine, note.body};
    }
    const bool error = note.verdict == Verdict::not_found || note.verdict == Verdict::wrong_method;
    // The app has handlers for such errors: Python has to be asked.
    if (error && !plan.native_errors) return {Kind::plain, BodyMode::ignore};
    app::answer_unmatched(plan, x, note.verdict, answer);
    return {};
}

Step AppHandler::start(Exchange& x, AnswerSink answer) {
    py::gil.assert_held();
    return core_->start(x, answer);
}

Step AppHandler::finish(Exchange& x, Outcome& outcome, AnswerSink answer) {
    py::gil.assert_held();
    return core_->finish(x, outcome, answer);
}

void AppHandler::abort(Exchange& x) noexcept {
    py::gil.assert_held();
    core_->release(x.note_as<Note>());
}

}  // namespace asioserve
