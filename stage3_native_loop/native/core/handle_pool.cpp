#include "stage3_native_loop/native/core/handle_pool.hpp"

#include <utility>

namespace asioloop {

using asioserve::py::drop;
using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

PyObject* type_of(const HandleClass& handles, HandlePool::Kind kind) noexcept {
    switch (kind) {
        case HandlePool::safe:
            return handles.safe_type();
        case HandlePool::timer:
            return handles.timer_type();
        default:
            return handles.handle_type();
    }
}

}  // namespace

PyObject* HandlePool::make(Kind kind, PyObject* callback, Ref args, PyObject* context, Ref when) {
    // Before CPython 3.14 they are of one class.
    if (kind == safe && handles_.safe_type() == handles_.handle_type()) kind = plain;
    std::vector<PyObject*>& free = free_[kind];
    const bool used = !free.empty();
    PyObject* h = used ? free.back() : handles_.allocate(type_of(handles_, kind));
    if (!h) return nullptr;
    if (used) free.pop_back();
    Ref variables = context ? Ref::borrow(context) : context_for(used ? h : nullptr);
    if (!variables) return drop(h), nullptr;
    handles_.fill(h, loop_, callback, std::move(args), std::move(variables));
    if (kind == timer) handles_.fill_timer(h, std::move(when));
    if (used) PyObject_GC_Track(h);
    return h;
}

Ref HandlePool::context_for(PyObject* used) const {
    if (PyObject* kept = used ? handles_.context(used) : nullptr)
        if (variables_.of(kept) == variables_.current()) return Ref::borrow(kept);
    return Ref::steal(PyContext_CopyCurrent());
}

bool HandlePool::reusable(PyObject* handle, Kind& kind) const noexcept {
    // Nobody else has it, so nobody can come to have it while we look.
    if (Py_REFCNT(handle) != 1) return false;
    const auto* type = reinterpret_cast<PyObject*>(Py_TYPE(handle));
    if (type == handles_.handle_type())
        kind = plain;
    else if (type == handles_.timer_type())
        kind = timer;
    else if (type == handles_.safe_type())
        kind = safe;
    else
        return false;
    return free_[kind].size() < kMost && !handles_.weakly_referenced(handle);
}

void HandlePool::give_back(PyObject* handle, const void* loops_own) {
    Kind kind = plain;
    if (!reusable(handle, kind)) return drop(handle);
    PyObject_GC_UnTrack(handle);
    // It is in its place before its fields go, whose ends may run code that asks for a handle.
    HandleClass::Fields gone = handles_.empty(handle);
    // Of a program's own Context nothing must be kept alive.
    if (loops_own && gone.context && variables_.of(gone.context.get()) == loops_own &&
        variables_.is_nobody_elses(gone.context.get()))
        handles_.keep_context(handle, std::move(gone.context));
    free_[kind].push_back(handle);
}

void HandlePool::clear() {
    for (std::vector<PyObject*>& free : free_)
        for (PyObject* h : std::exchange(free, {})) drop(h);
}

}  // namespace asioloop
