#include "stage3_native_loop/native/interop/await_python.hpp"

#include "stage3_native_loop/native/interop/errors.hpp"

namespace asioloop {

using asioserve::py::gil;
using asioserve::py::Ref;

namespace {

constexpr const char* capsule_name = "asioloop.Waiter";
// Weak: the waiter's coroutine may have the Future that has the capsule. The loop keeps it (LoopLife::keep).
using Known = std::weak_ptr<Waiter>;

void let_go(PyObject* capsule) {
    delete static_cast<Known*>(PyCapsule_GetPointer(capsule, capsule_name));
}

PyObject* on_done(PyObject* capsule, PyObject* future) {
    gil.assert_held();
    const auto waiter = static_cast<Known*>(PyCapsule_GetPointer(capsule, capsule_name))->lock();
    if (!waiter) return asioserve::py::new_reference(Py_None);
    waiter->executor().scope().life().forget(waiter);
    Object result{Ref::steal(PyObject_CallMethod(future, "result", nullptr))};
    std::exception_ptr error;
    if (!result) error = take_exception();
    waiter->complete(std::move(error), std::move(result));
    return asioserve::py::new_reference(Py_None);
}

Ref future_for(PyObject* awaitable, PyObject* loop) ASIOSERVE_REQUIRES(gil) {
    Ref asyncio = Ref::steal(PyImport_ImportModule("asyncio"));
    Ref ensure = asyncio ? Ref::steal(PyObject_GetAttrString(asyncio.get(), "ensure_future")) : Ref();
    Ref arguments = ensure ? Ref::steal(PyTuple_Pack(1, awaitable)) : Ref();
    Ref names = arguments ? Ref::steal(Py_BuildValue("{s:O}", "loop", loop)) : Ref();
    return names ? Ref::steal(PyObject_Call(ensure.get(), arguments.get(), names.get())) : Ref();
}

Ref callback_for(const std::shared_ptr<Waiter>& waiter) ASIOSERVE_REQUIRES(gil) {
    static PyMethodDef def = {"on_done", on_done, METH_O, nullptr};
    auto known = std::make_unique<Known>(waiter);
    Ref capsule = Ref::steal(PyCapsule_New(known.get(), capsule_name, let_go));
    if (!capsule) return {};
    [[maybe_unused]] Known* const owned_by_the_capsule = known.release();
    return Ref::steal(PyCFunction_New(&def, capsule.get()));
}

}  // namespace

Object start_awaitable(const Object& awaitable, const std::shared_ptr<Waiter>& waiter) {
    gil.assert_held();
    LoopLife& life = waiter->executor().scope().life();
    Ref future = future_for(awaitable.get(), life.core()->self());
    Ref callback = future ? callback_for(waiter) : Ref();
    Ref added =
        callback ? Ref::steal(PyObject_CallMethod(future.get(), "add_done_callback", "(O)", callback.get()))
                 : Ref();
    if (!added) {
        waiter->complete(take_exception(), {});
        return {};
    }
    life.keep(waiter);
    return Object(std::move(future));
}

void cancel_soon(const Executor& executor, Object future) {
    executor.execute([future = std::move(future)] {
        Ref done = Ref::steal(PyObject_CallMethod(future.get(), "cancel", nullptr));
        if (!done) PyErr_WriteUnraisable(future.get());
    });
}

std::variant<Executor, std::exception_ptr> executor_here() {
    if (!PyGILState_Check())
        return std::make_exception_ptr(std::logic_error("a Python awaitable was awaited without the GIL"));
    gil.assert_held();
    try {
        return Executor::of_running_loop();
    } catch (...) {
        return std::current_exception();
    }
}

}  // namespace asioloop
