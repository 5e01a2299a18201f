#include "tests/contract/host.hpp"

#include <algorithm>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <chrono>
#include <future>
#include <gtest/gtest.h>

#include "common/python/errors.hpp"

namespace contract {

using namespace asioserve;

namespace {

constexpr const char* capsule_name = "contract.Host";
constexpr std::chrono::seconds patience{10};

// The life of the loop: until `stop` is called, then what asyncio.Runner does at the end.
constexpr const char* life_source = R"(
import asyncio, concurrent.futures, gc, sys

def main(native, loop_factory, on_loop):
    async def life():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: native.unexpected(f"{context}"))
        on_loop(loop)
        stop = asyncio.Event()
        native.ready((loop, lambda: loop.call_soon_threadsafe(stop.set)))
        await stop.wait()
        gc.collect()
    sys.unraisablehook = lambda what: native.unexpected(f"{what.err_msg} {what.exc_value!r} {what.object!r}")
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(life())
        gc.collect()
    finally:
        sys.unraisablehook = sys.__unraisablehook__

def eval_on_loop(loop, expression, scope):
    outcome = concurrent.futures.Future()
    def work():
        try:
            outcome.set_result(str(eval(expression, scope)))
        except BaseException as error:
            outcome.set_exception(error)
    loop.call_soon_threadsafe(work)
    return outcome.result(10)
)";

Host& host_of(PyObject* capsule) {
    return *static_cast<Host*>(PyCapsule_GetPointer(capsule, capsule_name));
}

void add_function(const py::Ref& module, PyMethodDef& def, const py::Ref& capsule)
    ASIOSERVE_REQUIRES(py::gil) {
    py::Ref function = py::must(PyCFunction_New(&def, capsule.get()));
    py::must_not_fail(PyObject_SetAttrString(module.get(), def.ml_name, function.get()));
}

std::string text_of(const py::Ref& o) ASIOSERVE_REQUIRES(py::gil) {
    if (!o) {
        RunError error = describe_exception(py::take_raised().get());
        ADD_FAILURE() << error.traceback;
        return error.type;
    }
    py::Ref text = py::must(PyObject_Str(o.get()));
    return PyUnicode_AsUTF8(text.get());
}

}  // namespace

Host::Host(const MakeRunner& make, const std::string& source, Handler* other) {
    Handler& handler = other ? *other : handler_;
    runner_ = make(io_, handler);
    server_ = std::make_unique<http::Server>(io_, http::ServerOptions{}, handler, *runner_);
    py::GilAcquire held;
    life_ = py::must(PyDict_New());
    try {
        load(source);
    } catch (...) {
        life_.reset();  // while the GIL is held
        throw;
    }
}

void Host::load(const std::string& source) {
    static PyMethodDef defs[] = {{"note", note, METH_O, nullptr},
                                 {"unexpected", unexpected, METH_O, nullptr},
                                 {"ready", ready, METH_O, nullptr}};
    py::Ref native = py::must(PyModule_New("native"));
    py::Ref self = py::must(PyCapsule_New(this, capsule_name, nullptr));
    for (PyMethodDef& def : defs) add_function(native, def, self);
    py::must_not_fail(PyDict_SetItemString(life_.get(), "__builtins__", PyEval_GetBuiltins()));
    py::must_not_fail(PyDict_SetItemString(life_.get(), "native", native.get()));
    py::must(PyRun_String(life_source, Py_file_input, life_.get(), life_.get()));
    handler_.load(source, native.get(), [this](PyObject* exception) {
        py::gil.assert_held();
        exit_by(exception);
    });
}

Host::~Host() {
    server_.reset();
    runner_.reset();
    py::GilAcquire held;
    life_.reset();
    stop_.reset();
    for (const std::string& text : take_unexpected()) ADD_FAILURE() << "unexpected: " << text;
}

int Host::run(std::function<void()> scenario) {
    loop_thread_ = std::this_thread::get_id();
    std::thread thread([&] {
        {
            std::unique_lock lock(lock_);
            if (!changed_.wait_for(lock, patience, [&] { return ready_; })) {
                ADD_FAILURE() << "the loop does not start";
                return;
            }
        }
        on_io([this] { io_thread_ = std::this_thread::get_id(); });
        scenario();
        py::GilAcquire held;
        stop();
    });
    const int code = runner_->run(*this);
    thread.join();
    return code;
}

int Host::main(PyObject* loop_factory, FunctionRef<void(PyObject*)> on_loop) {
    py::gil.assert_held();
    struct Given {
        FunctionRef<void(PyObject*)> call;
    } given{on_loop};
    static PyMethodDef def = {
        "on_loop",
        [](PyObject* capsule, PyObject* loop) {
            static_cast<Given*>(PyCapsule_GetPointer(capsule, capsule_name))->call(loop);
            return py::new_reference(Py_None);
        },
        METH_O, nullptr};
    py::Ref capsule = py::must(PyCapsule_New(&given, capsule_name, nullptr));
    py::Ref callback = py::must(PyCFunction_New(&def, capsule.get()));
    py::Ref done = py::Ref::steal(PyObject_CallFunctionObjArgs(
        PyDict_GetItemString(life_.get(), "main"), PyDict_GetItemString(life_.get(), "native"),
        loop_factory ? loop_factory : Py_None, callback.get(), nullptr));
    if (!done) ADD_FAILURE() << describe_exception(py::take_raised().get()).traceback;
    stop_.reset();
    asio::post(io_, [this] { io_.stop(); });
    return exit_code_;
}

void Host::drive_io() {
    auto work = asio::make_work_guard(io_);
    http::run_turns(io_, *server_);
}

void Host::exit_by(PyObject* exception) {
    py::gil.assert_held();
    exit_code_ = 130;
    if (PyErr_GivenExceptionMatches(exception, PyExc_SystemExit)) {
        py::Ref code = py::must(PyObject_GetAttrString(exception, "code"));
        exit_code_ =
            PyLong_Check(code.get()) ? static_cast<int>(PyLong_AsLong(code.get())) : code.get() != Py_None;
    }
    stop();
}

void Host::stop() {
    if (!stop_) return;
    py::Ref stop = std::exchange(stop_, {});
    py::Ref done = py::Ref::steal(PyObject_CallNoArgs(stop.get()));
    if (!done) ADD_FAILURE() << describe_exception(py::take_raised().get()).traceback;
}

Asked Host::begin(const std::string& name, const std::string& query, Kind kind) {
    auto record = std::make_shared<Record>();
    auto x = ExchangePtr::adopt(new RecordedExchange(name, query, io_thread_, record));
    on_io([this, x, kind] { runner_->start(x, kind); }, false);
    return {std::move(record), std::move(x)};
}

std::vector<Asked> Host::begin_many(const std::string& name, int count) {
    std::vector<Asked> all;
    for (int i = 0; i < count; ++i) {
        auto record = std::make_shared<Record>();
        all.push_back({record, ExchangePtr::adopt(new RecordedExchange(name, "", io_thread_, record))});
    }
    on_io(
        [this, all, kind = handler_.kind(name)] {
            for (const Asked& asked : all) runner_->start(asked.exchange, kind);
        },
        false);
    return all;
}

void Host::cancel(const Asked& asked) {
    on_io([this, x = asked.exchange] { runner_->cancel(*x); }, false);
}

void Host::on_io(std::function<void()> job, bool wait) {
    auto done = std::make_shared<std::promise<void>>();
    asio::post(io_, [job = std::move(job), done] {
        job();
        done->set_value();
    });
    if (!wait) return;
    if (done->get_future().wait_for(patience) != std::future_status::ready)
        ADD_FAILURE() << "I/O does not turn";
}

std::string Host::eval(const std::string& expression) {
    py::GilAcquire held;
    return text_of(py::Ref::steal(
        PyRun_String(expression.c_str(), Py_eval_input, handler_.globals(), handler_.globals())));
}

std::string Host::eval_on_loop(const std::string& expression) {
    py::GilAcquire held;
    return text_of(py::Ref::steal(PyObject_CallFunction(PyDict_GetItemString(life_.get(), "eval_on_loop"),
                                                        "OsO", PyDict_GetItemString(life_.get(), "loop"),
                                                        expression.c_str(), handler_.globals())));
}

void Host::await_note(const std::string& text) {
    std::unique_lock lock(lock_);
    auto find = [&] { return std::find(notes_.begin(), notes_.end(), text); };
    if (changed_.wait_for(lock, patience, [&] { return find() != notes_.end(); }))
        notes_.erase(find());
    else
        ADD_FAILURE() << "nobody has noted \"" << text << "\" within ten seconds";
}

std::vector<std::string> Host::take_unexpected() {
    std::lock_guard lock(lock_);
    return std::exchange(unexpected_, {});
}

PyObject* Host::note(PyObject* capsule, PyObject* text) {
    Host& self = host_of(capsule);
    {
        std::lock_guard lock(self.lock_);
        self.notes_.emplace_back(PyUnicode_AsUTF8(text));
    }
    self.changed_.notify_all();
    return py::new_reference(Py_None);
}

PyObject* Host::unexpected(PyObject* capsule, PyObject* text) {
    Host& self = host_of(capsule);
    std::lock_guard lock(self.lock_);
    self.unexpected_.emplace_back(PyUnicode_AsUTF8(text));
    return py::new_reference(Py_None);
}

PyObject* Host::ready(PyObject* capsule, PyObject* loop_and_stop) {
    py::gil.assert_held();
    Host& self = host_of(capsule);
    PyDict_SetItemString(self.life_.get(), "loop", PyTuple_GET_ITEM(loop_and_stop, 0));
    self.stop_ = py::Ref::borrow(PyTuple_GET_ITEM(loop_and_stop, 1));
    {
        std::lock_guard lock(self.lock_);
        self.ready_ = true;
    }
    self.changed_.notify_all();
    return py::new_reference(Py_None);
}

}  // namespace contract
