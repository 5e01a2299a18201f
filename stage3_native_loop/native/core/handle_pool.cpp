#include "stage3_native_loop/native/core/handle_pool.hpp"

#include <array>
#include <utility>

namespace asioloop {

using asioserve::py::drop;
using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

// More arguments than this are few calls' alone.
constexpr Py_ssize_t kMostArguments = 6;

/// Empties a tuple that nobody else has, to be filled again. What was in it goes last.
bool emptied(PyObject* args) {
    if (!PyTuple_CheckExact(args) || Py_REFCNT(args) != 1) return false;
    const Py_ssize_t n = PyTuple_GET_SIZE(args);
    if (n == 0 || n > kMostArguments) return false;
    std::array<Ref, kMostArguments> gone;
    for (Py_ssize_t i = 0; i < n; ++i) {
        gone[static_cast<std::size_t>(i)] = Ref::steal(PyTuple_GET_ITEM(args, i));
        PyTuple_SET_ITEM(args, i, new_reference(Py_None));
    }
    return true;
}

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

PyObject* HandlePool::unused(Kind kind) {
    std::vector<PyObject*>& free = free_[kind];
    while (!free.empty()) {
        PyObject* h = free.back();
        free.pop_back();
        if (Py_REFCNT(h) == 1) return h;
        drop(h);  // somebody has asked the collector for it
    }
    return handles_.allocate(type_of(handles_, kind));
}

PyObject* HandlePool::make(Kind kind, PyObject* callback, Arguments args, PyObject* context, Ref when) {
    // Before CPython 3.14 they are of one class.
    if (kind == safe && handles_.safe_type() == handles_.handle_type()) kind = plain;
    Ref h = Ref::steal(unused(kind));
    if (!h) return nullptr;
    Ref tuple = args_for(h.get(), args);
    Ref variables = context ? Ref::borrow(context) : context_for(h.get());
    if (!tuple || !variables) return nullptr;
    ++lent_[kind];
    handles_.fill(h.get(), loop_, callback, std::move(tuple), std::move(variables));
    if (kind == timer) handles_.fill_timer(h.get(), std::move(when));
    return h.release();
}

Ref HandlePool::args_for(PyObject* handle, Arguments args) const {
    if (args.count == 0) return no_args_;
    PyObject* kept = handles_.args(handle);
    Ref tuple;
    if (PyTuple_CheckExact(kept) && PyTuple_GET_SIZE(kept) == args.count && Py_REFCNT(kept) == 1) {
        tuple = Ref::borrow(kept);
        // The collector does not look again at a tuple that it has seen nothing in.
        if (!PyObject_GC_IsTracked(kept)) PyObject_GC_Track(kept);
#if PY_VERSION_HEX >= 0x030E0000
        reinterpret_cast<PyTupleObject*>(kept)->ob_hash = -1;
#endif
    } else {
        tuple = Ref::steal(PyTuple_New(args.count));
        if (!tuple) return {};
    }
    // A kept one holds None, which need not be let go of from 3.12 on; before, it is counted.
    for (Py_ssize_t i = 0; i < args.count; ++i) {
        drop(PyTuple_GET_ITEM(tuple.get(), i));
        PyTuple_SET_ITEM(tuple.get(), i, new_reference(args.values[i]));
    }
    return tuple;
}

Ref HandlePool::context_for(PyObject* handle) const {
    PyObject* kept = handles_.context(handle);
    if (kept != Py_None && variables_.of(kept) && variables_.of(kept) == variables_.current())
        return Ref::borrow(kept);
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
    return lent_[kind] > 0 && free_[kind].size() < kMost && !handles_.weakly_referenced(handle);
}

void HandlePool::give_back(PyObject* handle, const void* loops_own) {
    Kind kind = plain;
    if (!reusable(handle, kind)) return drop(handle);
    --lent_[kind];
    HandleClass::Fields gone = handles_.empty(handle);
    // Of a program's own Context nothing must be kept alive.
    const bool own = loops_own && variables_.of(gone.context.get()) == loops_own &&
                     variables_.is_nobody_elses(gone.context.get());
    handles_.keep(handle, emptied(gone.args.get()) ? std::move(gone.args) : Ref(),
                  own ? std::move(gone.context) : Ref());
    // What else has gone goes when the handle is in its place: that may run code which asks for one.
    free_[kind].push_back(handle);
}

void HandlePool::clear() {
    for (std::vector<PyObject*>& free : free_)
        for (PyObject* h : std::exchange(free, {})) drop(h);
}

}  // namespace asioloop
