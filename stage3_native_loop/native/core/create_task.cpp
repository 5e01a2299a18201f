#include "stage3_native_loop/native/core/create_task.hpp"

#include <vector>

#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

bool TaskMaker::load() {
    Ref base_events = Ref::steal(PyImport_ImportModule("asyncio.base_events"));
    Ref tasks = Ref::steal(PyImport_ImportModule("asyncio.tasks"));
    if (!base_events || !tasks) return false;
    Ref base = Ref::steal(PyObject_GetAttrString(base_events.get(), "BaseEventLoop"));
    if (base) asyncios_ = Ref::steal(PyObject_GetAttrString(base.get(), "create_task"));
    variables_ = Ref::borrow(PyModule_GetDict(tasks.get()));
    task_name_ = Ref::steal(PyUnicode_InternFromString("Task"));
    loop_name_ = Ref::steal(PyUnicode_InternFromString("loop"));
    name_name_ = Ref::steal(PyUnicode_InternFromString("name"));
    context_name_ = Ref::steal(PyUnicode_InternFromString("context"));
    return asyncios_ && task_name_ && loop_name_ && name_name_ && context_name_;
}

int TaskMaker::traverse(visitproc visit, void* arg) const {
    Py_VISIT(asyncios_.get());
    Py_VISIT(variables_.get());
    return 0;
}

PyObject* TaskMaker::ask_asyncio(PyObject* loop, PyObject* const* values, Py_ssize_t n,
                                 PyObject* names) const {
    std::vector<PyObject*> all{loop};
    all.insert(all.end(), values, values + n + (names ? PyTuple_GET_SIZE(names) : 0));
    return PyObject_Vectorcall(asyncios_.get(), all.data(), static_cast<std::size_t>(n) + 1, names);
}

PyObject* TaskMaker::make(LoopCore& core, PyObject* const* values, Py_ssize_t n, PyObject* names) const {
    const Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
    bool usual = n == 1 && !core.closed() && !core.debug && !core.has_task_factory;
    for (Py_ssize_t i = 0; usual && i < named; ++i) {
        PyObject* name = PyTuple_GET_ITEM(names, i);
        usual = name == name_name_.get() || name == context_name_.get();
    }
    // Looked up each time: a program may put a Task of its own there.
    PyObject* type = usual ? PyDict_GetItemWithError(variables_.get(), task_name_.get()) : nullptr;
    if (!type) return PyErr_Occurred() ? nullptr : ask_asyncio(core.self(), values, n, names);
    Ref keywords = core.task_keywords;
    if (!keywords) {
        keywords = Ref::steal(PyDict_New());
        if (!keywords || PyDict_SetItem(keywords.get(), loop_name_.get(), core.self()) < 0) return nullptr;
        core.task_keywords = keywords;
    }
    if (named > 0) {
        keywords = Ref::steal(PyDict_Copy(keywords.get()));
        for (Py_ssize_t i = 0; i < named; ++i)
            if (!keywords || PyDict_SetItem(keywords.get(), PyTuple_GET_ITEM(names, i), values[n + i]) < 0)
                return nullptr;
    }
    Ref args = Ref::steal(PyTuple_Pack(1, values[0]));
    return args ? PyObject_Call(type, args.get(), keywords.get()) : nullptr;
}

}  // namespace asioloop
