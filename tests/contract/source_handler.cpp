#include "tests/contract/source_handler.hpp"

#include "common/python/errors.hpp"

namespace contract {

using namespace asioserve;

SourceHandler::~SourceHandler() {
    py::GilAcquire held;
    globals_.reset();
    exit_by_ = nullptr;
}

void SourceHandler::load(const std::string& source, PyObject* native, ExitBy exit_by) {
    exit_by_ = std::move(exit_by);
    globals_ = py::must(PyDict_New());
    py::must_not_fail(PyDict_SetItemString(globals_.get(), "__builtins__", PyEval_GetBuiltins()));
    py::must_not_fail(PyDict_SetItemString(globals_.get(), "native", native));
    py::must(PyRun_String("import asyncio, contextvars, inspect, sys, threading\n", Py_file_input,
                          globals_.get(), globals_.get()));
    py::must(PyRun_String(source.c_str(), Py_file_input, globals_.get(), globals_.get()));
    py::Ref is_async =
        py::must(PyRun_String("inspect.iscoroutinefunction", Py_eval_input, globals_.get(), globals_.get()));
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(globals_.get(), &at, &key, &value)) {
        if (!PyFunction_Check(value)) continue;
        py::Ref yes = py::must(PyObject_CallOneArg(is_async.get(), value));
        kinds_[PyUnicode_AsUTF8(key)] = yes.get() == Py_True ? Kind::coroutine : Kind::plain;
    }
}

Routed SourceHandler::route(Exchange& x) {
    return {kinds_.at(std::string(x.head().path.substr(1))), BodyMode::ignore};
}

Step SourceHandler::start(Exchange& x, AnswerSink answer) {
    py::gil.assert_held();
    PyObject* function = PyDict_GetItemString(globals_.get(), std::string(x.head().path.substr(1)).c_str());
    std::string query(x.head().query);
    py::Ref result = py::Ref::steal(query.empty() ? PyObject_CallNoArgs(function)
                                                  : PyObject_CallFunction(function, "s", query.c_str()));
    Outcome outcome = result ? Outcome::returned(std::move(result)) : Outcome::raised_now();
    return settle(outcome, answer);
}

Step SourceHandler::finish(Exchange&, Outcome& outcome, AnswerSink answer) {
    py::gil.assert_held();
    return settle(outcome, answer);
}

Step SourceHandler::settle(Outcome& outcome, AnswerSink answer) {
    if (!outcome.ok()) {
        if (PyErr_GivenExceptionMatches(outcome.object(), PyExc_SystemExit) ||
            PyErr_GivenExceptionMatches(outcome.object(), PyExc_KeyboardInterrupt))
            exit_by_(outcome.object());
        RunError error = describe_exception(outcome.object());
        std::string text = error.type + ": " + error.message;
        answer({.status = 500, .content_type = "text/error", .body = text});
        return {};
    }
    if (PyCoro_CheckExact(outcome.object())) return {as_computation(py::Ref::borrow(outcome.object()))};
    if (outcome.object() == Py_None) {
        answer({.status = 204, .content_type = {}, .body = {}});
        return {};
    }
    py::Ref text = py::Ref::steal(PyObject_Str(outcome.object()));
    const Header marks[] = {{"x-first", "1"}, {"x-second", "two"}};
    answer({.status = 200,
            .content_type = "text/plain",
            .body = PyUnicode_AsUTF8(text.get()),
            .headers = marks});
    return {};
}

void SourceHandler::abort(Exchange&) noexcept {
    py::gil.assert_held();
    ++aborted_;
}

}  // namespace contract
