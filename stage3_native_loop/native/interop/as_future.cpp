#include "stage3_native_loop/native/interop/as_future.hpp"

#include "common/python/errors.hpp"

namespace asioloop {

using asioserve::py::gil;
using asioserve::py::Ref;

namespace {
constexpr const char* capsule_name = "asioloop.Promise";
// Weak: the Future has the capsule, and the promise has the Future.
using Known = std::weak_ptr<Promise>;

void let_go(PyObject* capsule) {
    delete static_cast<Known*>(PyCapsule_GetPointer(capsule, capsule_name));
}
}  // namespace

std::shared_ptr<Promise> Promise::make(std::shared_ptr<const void> owner) {
    gil.assert_held();
    static PyMethodDef def = {"on_done", on_done, METH_O, nullptr};
    Executor executor = Executor::of_running_loop();
    PyObject* loop = executor.scope().life().core()->self();
    Ref future = Ref::steal(PyObject_CallMethod(loop, "create_future", nullptr));
    if (!future) throw_exception();
    auto promise = std::make_shared<Promise>(std::move(executor), Object(future), std::move(owner));
    auto known = std::make_unique<Known>(promise);
    Ref capsule = Ref::steal(PyCapsule_New(known.get(), capsule_name, let_go));
    if (capsule) [[maybe_unused]]
        Known* const owned_by_the_capsule = known.release();
    Ref callback = capsule ? Ref::steal(PyCFunction_New(&def, capsule.get())) : Ref();
    Ref added =
        callback ? Ref::steal(PyObject_CallMethod(future.get(), "add_done_callback", "(O)", callback.get()))
                 : Ref();
    if (!added) throw_exception();
    return promise;
}

PyObject* Promise::on_done(PyObject* capsule, PyObject* future) {
    const auto promise = static_cast<Known*>(PyCapsule_GetPointer(capsule, capsule_name))->lock();
    if (!promise) return asioserve::py::new_reference(Py_None);
    Ref cancelled = Ref::steal(PyObject_CallMethod(future, "cancelled", nullptr));
    if (!cancelled) return nullptr;
    if (cancelled.get() == Py_True) {
        // Not in here: a cancelled operation may go on with its coroutine, and this is a callback of
        // Python's.
        promise->executor_.execute(
            [promise] { promise->cancelled_.emit(asio::cancellation_type::terminal); });
    }
    return asioserve::py::new_reference(Py_None);
}

bool Promise::done() const {
    if (!future_) return true;
    Ref done = Ref::steal(PyObject_CallMethod(future_.get(), "done", nullptr));
    if (!done) PyErr_WriteUnraisable(future_.get());
    return !done || done.get() == Py_True;
}

void Promise::set(const char* method, PyObject* argument) {
    gil.assert_held();
    Ref set = Ref::steal(PyObject_CallMethod(future_.get(), method, "(O)", argument));
    if (set) return;
    // A Future refuses StopIteration, and says why.
    Ref refusal = asioserve::py::take_raised();
    set = Ref::steal(PyObject_CallMethod(future_.get(), "set_exception", "(O)", refusal.get()));
    if (!set) PyErr_WriteUnraisable(future_.get());
}

void Promise::set_result(Ref value) {
    gil.assert_held();
    if (!value) return set_error(take_exception());
    if (!done()) set("set_result", value.get());
}

void Promise::set_error(const std::exception_ptr& error) {
    gil.assert_held();
    if (done()) return;
    Ref exception = to_python_exception(error);
    if (!exception) {
        Ref cancelled = Ref::steal(PyObject_CallMethod(future_.get(), "cancel", nullptr));
        if (!cancelled) PyErr_WriteUnraisable(future_.get());
        return;
    }
    set("set_exception", exception.get());
    // As a task does with what ends the program: whoever waits is told, and so is run_forever().
    if (LoopCore* core = executor_.scope().life().core()) leave_loop_by(*core, exception.get());
}

void Promise::abandon(std::shared_ptr<Promise> promise) {
    const Executor executor = promise->executor();
    executor.execute([promise = std::move(promise)] {
        promise->set_error(
            std::make_exception_ptr(std::runtime_error("a C++ operation was dropped before its end")));
    });
}

}  // namespace asioloop
