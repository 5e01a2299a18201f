#include "stage3_native_loop/native/core/task_registry.hpp"

#include <memory>
#include <utility>

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

#if PY_VERSION_HEX >= 0x030E0000

// From 3.14 on tasks are in a linked list in C: nothing to gain, but its two functions.
struct TaskRegistry::Set {
    Ref list, unlist;
};

bool TaskRegistry::attach() {
    Ref tasks = Ref::steal(PyImport_ImportModule("asyncio.tasks"));
    if (!tasks) return false;
    auto set = std::make_unique<Set>();
    set->list = Ref::steal(PyObject_GetAttrString(tasks.get(), "_register_task"));
    set->unlist = Ref::steal(PyObject_GetAttrString(tasks.get(), "_unregister_task"));
    if (!set->list || !set->unlist) return false;
    set_ = set.release();
    return true;
}

void TaskRegistry::detach() {
    delete std::exchange(set_, nullptr);
}

bool TaskRegistry::somebody_attached() {
    return true;
}

void TaskRegistry::quiet(bool) noexcept {}

Ref TaskRegistry::token(PyObject* task) {
    unlist(task);  // it has listed itself: quiet() is of no avail
    return Ref::borrow(task);
}

void TaskRegistry::list(PyObject* token) {
    Ref done = Ref::steal(PyObject_CallOneArg(set_->list.get(), token));
    if (!done) PyErr_WriteUnraisable(token);
}

void TaskRegistry::unlist(PyObject* token) {
    Ref done = Ref::steal(PyObject_CallOneArg(set_->unlist.get(), token));
    if (!done) PyErr_WriteUnraisable(token);
}

#else

// A WeakSet's parts: it never replaces them (Lib/_weakrefset.py).
struct TaskRegistry::Set {
    Ref weak_set, data, iterating, removals;
    Ref add, remove;  // references to ourselves, until detach()
    bool quiet = false;

    static Set* of(PyObject* capsule) { return static_cast<Set*>(PyCapsule_GetPointer(capsule, nullptr)); }

    // WeakSet.add
    static PyObject* list_task(PyObject* capsule, PyObject* task) {
        Set& set = *of(capsule);
        if (set.quiet) return new_reference(Py_None);
        if (PyList_GET_SIZE(set.removals.get()) > 0) {
            Ref done = Ref::steal(PyObject_CallMethod(set.weak_set.get(), "_commit_removals", nullptr));
            if (!done) return nullptr;
        }
        // After detach() only somebody who kept the function gets here: a reference without our callback
        // would stay in the set for good.
        if (!set.remove) {
            PyErr_SetString(PyExc_RuntimeError, "the loop that keeps this set has ended");
            return nullptr;
        }
        Ref token = Ref::steal(PyWeakref_NewRef(task, set.remove.get()));
        if (!token || PySet_Add(set.data.get(), token.get()) < 0) return nullptr;
        return new_reference(Py_None);
    }

    // A weak reference's callback. While somebody iterates the set its size must not change.
    static PyObject* forget(PyObject* capsule, PyObject* token) {
        Set& set = *of(capsule);
        const int failed = PySet_GET_SIZE(set.iterating.get()) > 0 ? PyList_Append(set.removals.get(), token)
                                                                   : PySet_Discard(set.data.get(), token);
        return failed < 0 ? nullptr : new_reference(Py_None);
    }

    // Not a moment longer ours: the last function that goes takes us with it.
    void let_go() { const Ref a = std::move(add), r = std::move(remove); }

    static void destroy(PyObject* capsule) { delete of(capsule); }
};

namespace {

Ref all_tasks() {
    Ref tasks = Ref::steal(PyImport_ImportModule("asyncio.tasks"));
    if (!tasks) return {};
#if PY_VERSION_HEX >= 0x030C0000
    return Ref::steal(PyObject_GetAttrString(tasks.get(), "_scheduled_tasks"));
#else
    return Ref::steal(PyObject_GetAttrString(tasks.get(), "_all_tasks"));
#endif
}

}  // namespace

bool TaskRegistry::attach() {
    static PyMethodDef add_def = {"add", &Set::list_task, METH_O, "WeakSet.add, in C++."};
    static PyMethodDef remove_def = {"remove", &Set::forget, METH_O, nullptr};
    auto set = std::make_unique<Set>();
    set->weak_set = all_tasks();
    if (!set->weak_set) return false;
    PyObject* s = set->weak_set.get();
    set->data = Ref::steal(PyObject_GetAttrString(s, "data"));
    set->iterating = Ref::steal(PyObject_GetAttrString(s, "_iterating"));
    set->removals = Ref::steal(PyObject_GetAttrString(s, "_pending_removals"));
    if (!set->data || !set->iterating || !set->removals) return false;
    if (!PySet_Check(set->data.get()) || !PySet_Check(set->iterating.get()) ||
        !PyList_Check(set->removals.get())) {
        PyErr_SetString(PyExc_ImportError, "asyncio keeps its tasks in an unknown way");
        return false;
    }
    Ref capsule = Ref::steal(PyCapsule_New(set.get(), nullptr, &Set::destroy));
    if (!capsule) return false;
    Set* own = set.release();  // the capsule's now
    own->remove = Ref::steal(PyCFunction_New(&remove_def, capsule.get()));
    own->add = Ref::steal(PyCFunction_New(&add_def, capsule.get()));
    if (!own->remove || !own->add || PyObject_SetAttrString(s, "add", own->add.get()) < 0) {
        own->let_go();
        return false;
    }
    set_ = own;
    return true;
}

void TaskRegistry::detach() {
    if (!set_) return;
    Set* set = std::exchange(set_, nullptr);
    PyObject* s = set->weak_set.get();
    Ref current = Ref::steal(PyObject_GetAttrString(s, "add"));
    if (!current || (current.get() == set->add.get() && PyObject_DelAttrString(s, "add") < 0)) PyErr_Clear();
    set->let_go();
}

bool TaskRegistry::somebody_attached() {
    Ref set = all_tasks();
    Ref add = set ? Ref::steal(PyObject_GetAttrString(set.get(), "add")) : Ref();
    if (!add) PyErr_Clear();
    return !add || PyCFunction_Check(add.get());
}

void TaskRegistry::quiet(bool on) noexcept {
    set_->quiet = on;
}

Ref TaskRegistry::token(PyObject* task) {
    Ref token = Ref::steal(PyWeakref_NewRef(task, set_->remove.get()));
    // It keeps its hash, without which forget() could not look for it once the task is gone.
    if (token && PyObject_Hash(token.get()) == -1) return {};
    return token;
}

void TaskRegistry::list(PyObject* token) {
    if (PySet_Add(set_->data.get(), token) < 0) PyErr_WriteUnraisable(token);
}

void TaskRegistry::unlist(PyObject* token) {
    if (PySet_Discard(set_->data.get(), token) < 0) PyErr_WriteUnraisable(token);
}

#endif

void SharedTaskRegistry::enter() {
    if (loops_++ > 0 || TaskRegistry::somebody_attached()) return;
    attached_ = registry_.attach();
    // asyncio keeps the set by itself then.
    if (!attached_) PyErr_Clear();
}

void SharedTaskRegistry::leave() {
    if (--loops_ == 0 && std::exchange(attached_, false)) registry_.detach();
}

}  // namespace asioloop
