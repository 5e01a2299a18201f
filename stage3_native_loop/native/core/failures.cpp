#include "stage3_native_loop/native/core/failures.hpp"

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

using asioserve::py::Ref;

namespace {

/// As asyncio's selector loop would have made it for the same event.
Ref handle_of(const ModuleState& module, PyObject* loop, const Called& called) {
    Ref callback = Ref::steal(PyObject_GetAttrString(called.owner, called.method));
    Ref args = called.argument ? Ref::steal(PyTuple_Pack(1, called.argument)) : module.empty_tuple;
    return callback && args ? module.handles.make(loop, callback.get(), args.get(), nullptr) : Ref();
}

}  // namespace

bool leaves_the_loop() {
    return PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
}

bool report_failure(PyObject* loop, PyObject* handle, const Ref& error, PyObject* owner) {
    const Ref done = Ref::steal(
        handle ? PyObject_CallMethod(loop, "_callback_failed", "OO", handle, error.get()) : nullptr);
    if (done) return true;
    if (leaves_the_loop()) return false;
    PyErr_WriteUnraisable(owner);
    return true;
}

bool report_failure(const ModuleState& module, PyObject* loop, const Called& called) {
    if (leaves_the_loop()) return false;
    asioserve::py::gil.assert_held();
    const Ref error = asioserve::py::take_raised();
    return report_failure(loop, handle_of(module, loop, called).get(), error, called.owner);
}

void report_slow(const ModuleState& module, LoopCore& core, const Called& called, double took) {
    core.slow_reported = true;
    const Ref handle = handle_of(module, core.self(), called);
    const Ref done = Ref::steal(
        handle ? PyObject_CallMethod(core.self(), "_report_slow", "Od", handle.get(), took) : nullptr);
    if (!done) PyErr_WriteUnraisable(called.owner);
}

}  // namespace asioloop
