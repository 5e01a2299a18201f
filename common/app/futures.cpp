#include "common/app/futures.hpp"

#include <utility>

namespace asioserve::app {

namespace {

void call(const Plan& plan, py::Ref& future, PyObject* method, PyObject* value) ASIOSERVE_REQUIRES(py::gil) {
    const py::Ref taken = std::exchange(future, py::Ref());
    if (!taken || !is_pending(plan, taken)) return;
    const py::Ref done = py::Ref::steal(PyObject_CallMethodOneArg(taken.get(), method, value));
    if (!done) PyErr_WriteUnraisable(taken.get());
}

}  // namespace

py::Ref make_future(const Plan& plan) {
    const py::Ref loop = py::Ref::steal(PyObject_CallNoArgs(plan.get_running_loop.get()));
    if (!loop) return {};
    return py::Ref::steal(PyObject_CallMethodNoArgs(loop.get(), plan.names.create_future.get()));
}

bool is_pending(const Plan& plan, const py::Ref& future) {
    if (!future) return false;
    const py::Ref done = py::Ref::steal(PyObject_CallMethodNoArgs(future.get(), plan.names.done.get()));
    if (!done) PyErr_WriteUnraisable(future.get());
    return done.get() == Py_False;
}

void settle(const Plan& plan, py::Ref& future, PyObject* value) {
    call(plan, future, plan.names.set_result.get(), value);
}

void settle_raising(const Plan& plan, py::Ref& future, PyObject* exception) {
    call(plan, future, plan.names.set_exception.get(), exception);
}

}  // namespace asioserve::app
