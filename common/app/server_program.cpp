#include "common/app/server_program.hpp"

#include <algorithm>
#include <asio/post.hpp>
#include <csignal>

#include "common/app/control.hpp"
#include "common/app/load_app.hpp"
#include "common/python/errors.hpp"

namespace asioserve::app {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

ServerProgram::ServerProgram(Parts parts, Settings settings)
    : parts_(parts), settings_(std::move(settings)), since_(steady_clock::now()) {
    parts_.signals.watch([this](int signo) { stop(signo == SIGINT ? "SIGINT" : "SIGTERM"); });
    parts_.supervisor.watch([this] { stop("the supervisor is gone"); });
}

int ServerProgram::main(PyObject* loop_factory, FunctionRef<void(PyObject* loop)> on_loop) {
    py::gil.assert_held();
    int code = 1;
    on_loop_ = &on_loop;
    try {
        Control control(*this);
        py::Ref life = py::must(PyImport_ImportModule("asioserve._life"));
        py::Ref result = py::Ref::steal(PyObject_CallMethod(life.get(), "main", "OO", control.object(),
                                                            loop_factory ? loop_factory : Py_None));
        code = result ? static_cast<int>(PyLong_AsLong(result.get())) : code_of(py::take_raised().get());
    } catch (const py::PythonError& error) {
        parts_.log.error("the server ends: " + error.error().traceback);
    }
    on_loop_ = nullptr;
    stop_.reset();
    if (parts_.proof) parts_.proof->end();
    code = with_wish(code);
    app_ended(code);
    parts_.io.stop();
    return code;
}

void ServerProgram::drive_io() {
    http::run_turns(parts_.io, parts_.server);
}

void ServerProgram::exit_by(PyObject* exception) {
    py::gil.assert_held();
    const int code = code_of(exception);
    int none = -1;
    exit_code_.compare_exchange_strong(none, code);
    // The code is the app's wish: the supervisor is not to take it for a crash.
    if (!PyErr_GivenExceptionMatches(exception, PyExc_Exception)) parts_.supervisor.say("leaving");
    // Posted, never at once: this may be inside a handler, which the connection has just called.
    asio::post(parts_.io,
               [this, code] { stop(("exit code " + std::to_string(code) + " of the app").c_str()); });
}

int ServerProgram::code_of(PyObject* exception) {
    if (PyErr_GivenExceptionMatches(exception, PyExc_Exception))
        parts_.log.error("the loop was ended by an exception\n" + describe_exception(exception).traceback);
    return exit_code_of(exception, 1);
}

void ServerProgram::on_loop(PyObject* loop, PyObject* stop) {
    stop_ = py::Ref::borrow(stop);
    (*on_loop_)(loop);
}

void ServerProgram::proved() {
    parts_.proof->end();
    parts_.supervisor.say("proved");
}

int ServerProgram::with_wish(int code) const noexcept {
    const int wish = exit_code_.load();
    return code == 0 && wish >= 0 ? wish : code;
}

void ServerProgram::app_ended(int code) noexcept {
    // From here on only forgotten tasks and threads can hold it up: they get their time, but not for ever.
    parts_.signals.deadline(closing_time(), with_wish(code));
}

void ServerProgram::ready() {
    asio::post(parts_.io, [this] { start_serving(); });
}

void ServerProgram::drain() {
    asio::post(parts_.io, [this] { stop("the app has cancelled the server's task"); });
}

int ServerProgram::interrupted_code() const noexcept {
    const int signo = parts_.signals.received();
    return signo ? 128 + signo : 1;
}

void ServerProgram::log(Log::Level level, const std::string& text, PyObject* exception) {
    if (!exception || exception == Py_None) return parts_.log.write(level, text);
    std::string traceback = describe_exception(exception).traceback;
    if (!traceback.empty() && traceback.back() == '\n') traceback.pop_back();
    parts_.log.write(level, text + "\n" + traceback);
}

std::chrono::duration<double> ServerProgram::uptime() const noexcept {
    return steady_clock::now() - since_.load();
}

milliseconds ServerProgram::closing_time() const noexcept {
    return std::max(settings_.drain_time, milliseconds(5'000));
}

void ServerProgram::start_serving() {
    if (phase_ != Phase::starting) return;  // a signal came first; _life knows
    phase_ = Phase::serving;
    since_ = steady_clock::now();
    parts_.server.start();
    for (const std::string& address : settings_.addresses)
        parts_.log.info("listening on " + address + " " + settings_.about);
    parts_.supervisor.say("ready");
}

void ServerProgram::stop(const char* why) {
    switch (phase_) {
        case Phase::starting:
            parts_.log.info(std::string("shutting down before it was ready: ") + why);
            phase_ = Phase::drained;
            parts_.signals.deadline(closing_time(), interrupted_code());
            return tell_python();
        case Phase::serving:
            parts_.log.info(std::string("shutting down: ") + why);
            phase_ = Phase::draining;
            return parts_.server.drain(settings_.drain_time, [this] { drained(); });
        case Phase::draining:
        case Phase::drained:
            return;
    }
}

void ServerProgram::drained() {
    parts_.log.debug("every answer is sent");
    phase_ = Phase::drained;
    parts_.signals.deadline(closing_time(), std::max(exit_code_.load(), 1));
    tell_python();
}

void ServerProgram::tell_python() {
    parts_.runner.to_python([this] {
        py::gil.assert_held();
        if (!stop_) return;
        if (!py::Ref::steal(PyObject_CallNoArgs(stop_.get()))) PyErr_WriteUnraisable(stop_.get());
    });
}

}  // namespace asioserve::app
