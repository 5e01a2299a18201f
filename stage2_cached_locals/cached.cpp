#include "stage2_cached_locals/cached.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "common/python/errors.hpp"

namespace stage {
namespace {

py::Ref name_of(const char* text) ASIOSERVE_REQUIRES(py::gil) {
    return py::must(PyUnicode_InternFromString(text));
}
py::Ref module_of(const char* name) ASIOSERVE_REQUIRES(py::gil) {
    return py::must(PyImport_ImportModule(name));
}
py::Ref attribute(const py::Ref& o, const char* name) ASIOSERVE_REQUIRES(py::gil) {
    return py::must(PyObject_GetAttrString(o.get(), name));
}

bool eager_start_wanted() {
    const char* ablate = std::getenv("ASIOSERVE_ABLATE");
    if (!ablate || std::string_view(ablate) != "eager-start") return false;
#if PY_VERSION_HEX < 0x030C0000
    throw std::runtime_error("ASIOSERVE_ABLATE=eager-start needs CPython 3.12: 3.11 has no eager tasks");
#else
    return true;
#endif
}

// A done callback.
PyObject* retrieve(PyObject*, PyObject* task) {
    py::Ref exception = py::Ref::steal(PyObject_CallMethod(task, "exception", nullptr));
    if (!exception) PyErr_Clear();  // it was cancelled
    return py::new_reference(Py_None);
}

}  // namespace

// [2.1-cached]
Cached::Cached() : eager_(eager_start_wanted()) {
    static PyMethodDef def = {"retrieve", retrieve, METH_O, nullptr};
    const py::Ref asyncio = module_of("asyncio");
    task_type_ = attribute(asyncio, "Task");
    current_task_ = attribute(asyncio, "current_task");
    retrieve_ = py::must(PyCFunction_New(&def, nullptr));
    cancel_ = name_of("cancel");
    add_done_callback_ = name_of("add_done_callback");
    must_cancel_ = name_of("_must_cancel");
    make_cancelled_error_ = name_of("_make_cancelled_error");
    context_word_ = py::must(Py_BuildValue("(s)", "context"));
    task_words_ = py::must(eager_ ? Py_BuildValue("(sss)", "loop", "context", "eager_start")
                                  : Py_BuildValue("(ss)", "loop", "context"));
}

void Cached::bind(PyObject* loop) {
    loop_ = py::Ref::borrow(loop);
    create_task_ = attribute(loop_, "create_task");
    task_factory_ = attribute(loop_, "get_task_factory");
    call_soon_ = attribute(loop_, "call_soon");
    const py::Ref type = py::Ref::borrow(reinterpret_cast<PyObject*>(Py_TYPE(loop)));
    const py::Ref base = attribute(module_of("asyncio.base_events"), "BaseEventLoop");
    plain_loop_ = attribute(type, "create_task").get() == attribute(base, "create_task").get();
}
// [2.1-cached]

void Cached::look_for_task_factory() {
    direct_ = false;
    if (!plain_loop_) return;
    py::Ref factory = py::Ref::steal(PyObject_CallNoArgs(task_factory_.get()));
    direct_ = factory.get() == Py_None;
    if (!factory) PyErr_Clear();
}

// [2.3-task]
py::Ref Cached::new_task(PyObject* coroutine, PyObject* context) {
    constexpr std::size_t one_positional = 1 | PY_VECTORCALL_ARGUMENTS_OFFSET;
    if (direct_) {
        PyObject* arguments[] = {nullptr, coroutine, loop_.get(), context, Py_True};
        return py::Ref::steal(
            PyObject_Vectorcall(task_type_.get(), arguments + 1, one_positional, task_words_.get()));
    }
    PyObject* arguments[] = {nullptr, coroutine, context};
    return py::Ref::steal(
        PyObject_Vectorcall(create_task_.get(), arguments + 1, one_positional, context_word_.get()));
}
// [2.3-task]

void Cached::cancel(PyObject* task) {
    py::Ref done = py::Ref::steal(PyObject_CallMethodNoArgs(task, cancel_.get()));
    if (!done) PyErr_WriteUnraisable(task);
}

py::Ref Cached::cancelled(PyObject* task) {
    py::Ref current = task ? py::Ref::borrow(task) : py::Ref::steal(PyObject_CallNoArgs(current_task_.get()));
    py::Ref must = current ? py::Ref::steal(PyObject_GetAttr(current.get(), must_cancel_.get())) : py::Ref();
    if (must.get() == Py_False) return {};
    py::Ref error =
        must ? py::Ref::steal(PyObject_CallMethodNoArgs(current.get(), make_cancelled_error_.get()))
             : py::Ref();
    if (!error) PyErr_Clear();  // a task of another make (a task factory's), which has no such attribute
    return error;
}

void Cached::retrieve_current() {
    py::Ref task = py::Ref::steal(PyObject_CallNoArgs(current_task_.get()));
    py::Ref added =
        task
            ? py::Ref::steal(PyObject_CallMethodOneArg(task.get(), add_done_callback_.get(), retrieve_.get()))
            : py::Ref();
    if (!added) PyErr_Clear();
}

bool Cached::call_soon(PyObject* callback) {
    py::Ref handle = py::Ref::steal(PyObject_CallOneArg(call_soon_.get(), callback));
    if (!handle) PyErr_Clear();
    return static_cast<bool>(handle);
}

}  // namespace stage
