#include "stage3_native_loop/native/interop/executor.hpp"

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/interop/errors.hpp"

namespace asioloop {

using asioserve::py::gil;
using asioserve::py::Ref;

void Scope::enter(LoopCore& core) {
    core.enter_python();
    gil.assert_held();
    running_ = true;
    // No memory, at worst: the handler runs all the same, as a coroutine that is never resumed is worse.
    if (PyContext_Enter(variables_.get()) < 0) PyErr_WriteUnraisable(variables_.get());
}

void Scope::leave(LoopCore& core) {
    gil.assert_held();
    if (PyErr_Occurred()) PyErr_WriteUnraisable(nullptr);  // of the C API, and nobody has looked
    if (PyContext_Exit(variables_.get()) < 0) PyErr_WriteUnraisable(variables_.get());
    running_ = false;
    core.leave_python();
}

void Scope::report(LoopCore& core) {
    gil.assert_held();
    PyErr_Clear();
    Ref exception = to_python_exception(std::current_exception());
    if (!exception || leave_loop_by(core, exception.get())) return;  // empty: a cancelled operation
    Ref done = Ref::steal(PyObject_CallMethod(core.self(), "call_exception_handler", "({s:s,s:O})", "message",
                                              "Exception in a C++ handler", "exception", exception.get()));
    if (done) return;
    exception = asioserve::py::take_raised();
    if (leave_loop_by(core, exception.get())) return;
    PythonException(std::move(exception)).restore();
    PyErr_WriteUnraisable(core.self());
}

namespace {
PyObject* raise(PyObject* exception, PyObject*) {
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception)), exception);
    return nullptr;
}
}  // namespace

bool leave_loop_by(LoopCore& core, PyObject* exception) {
    static PyMethodDef def = {"raise", raise, METH_NOARGS, nullptr};
    if (PyErr_GivenExceptionMatches(exception, PyExc_KeyboardInterrupt) == 0 &&
        PyErr_GivenExceptionMatches(exception, PyExc_SystemExit) == 0)
        return false;
    Ref callback = Ref::steal(PyCFunction_New(&def, exception));
    Ref handle = callback ? Ref::steal(core.call_soon(callback.get(), {}, nullptr)) : Ref();
    if (!handle) PyErr_WriteUnraisable(exception);
    return true;
}

namespace {
LoopCore& open_core(PyObject* loop) {
    gil.assert_held();
    LoopCore* core = core_of(loop);
    if (!core)
        PyErr_Format(PyExc_TypeError, "an asioloop.Loop is needed, not %R", loop);
    else if (core->closed())
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    if (!core || core->closed()) throw_exception();
    return *core;
}

Ref running_loop() {
    gil.assert_held();
    Ref asyncio = Ref::steal(PyImport_ImportModule("asyncio"));
    Ref loop = asyncio ? Ref::steal(PyObject_CallMethod(asyncio.get(), "get_running_loop", nullptr)) : Ref();
    if (!loop) throw_exception();
    return loop;
}
}  // namespace

template <>
Executor Executor::of(PyObject* loop) {
    LoopCore& core = open_core(loop);
    gil.assert_held();
    Ref variables = Ref::steal(PyContext_CopyCurrent());
    if (!variables) throw_exception();
    return {core.io().get_executor(), std::make_shared<Scope>(core.life(), Object(std::move(variables)))};
}

template <>
Executor Executor::of_running_loop() {
    return of(running_loop().get());
}

asio::io_context& running_io_context() {
    // A loop that runs is there as long as whoever asks is called.
    return open_core(running_loop().get()).io();
}

}  // namespace asioloop
