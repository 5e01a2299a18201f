// How a loop's callbacks come into the ready queue, and are run.
#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/failures.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/core/stay_at_exit.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

// --- into the queue
// ---------------------------------------------------------------------------------------------

PyObject* LoopCore::call_soon(PyObject* callback, Arguments args, PyObject* context) {
    if (closed_) return closed_error(), nullptr;
    if (capture) {
        *std::exchange(capture, nullptr) = Ref::borrow(callback);
        return new_reference(Py_None);
    }
    return schedule(HandlePool::plain, callback, args, context);
}

PyObject* LoopCore::schedule(HandlePool::Kind kind, PyObject* callback, Arguments args, PyObject* context) {
    PyObject* h = pool_.make(kind, callback, args, context);
    if (h) ready_.push({new_reference(h), nullptr, false});
    return h;
}

PyObject* LoopCore::call_soon_threadsafe(PyObject* callback, Arguments args, PyObject* context) {
    if (closed_) return closed_error(), nullptr;
    PyObject* h = schedule(HandlePool::safe, callback, args, context);
    if (h) wake();
    return h;
}

// --- out of it
// -----------------------------------------------------------------------------------------------------------

bool LoopCore::run_ready() {
    // Only what is due now: callbacks that these schedule wait for the next turn, after I/O has had a look.
    const std::size_t n = ready_.size();
    if (n == 0) return true;
    metrics_.most_ready.raise_to(n);
    if (hook_) hook_->settle();
    show_running();
    const void* own = module_.context_vars.current();
    const bool timed = debug;
    const double begin = timed ? time() : 0;
    slow_reported = false;
    for (std::size_t left = n; left > 0; --left) {
        const Ready r = ready_.pop();
        Ref h = Ref::steal(r.handle);
        in_callback_ = true;
        running_handle_ = r.handle;
        bool ok = r.native ? r.native->run(r.write) : run_handle(r.handle);
        end_handle();
        in_callback_ = false;
        metrics_.callbacks.add();
        if (ok && gathered_.overdue()) ok = gathered_.flush();
        if (r.watch) watches_.ran(*r.watch, r.write);
        pool_.give_back(h.release(), own);
        if (!ok) return false;
        if (forked_) return closed_error();
    }
    const double took = timed ? time() - begin : 0;
    if (timed && took >= slow_iteration_duration && !slow_reported) report_slow_iteration(n, took);
    return true;
}

void LoopCore::report_slow_iteration(std::size_t callbacks, double seconds) {
    Ref done = Ref::steal(PyObject_CallMethod(self_, "_report_slow_iteration", "nd",
                                              static_cast<Py_ssize_t>(callbacks), seconds));
    if (!done) PyErr_WriteUnraisable(self_);
}

bool LoopCore::run_handle(PyObject* handle) {
    const HandleClass& handles = module_.handles;
    if (handles.cancelled(handle)) return true;
    // Owned for the call: cancel() inside the callback empties the slots.
    Ref callback = Ref::borrow(handles.callback(handle));
    Ref args = Ref::borrow(handles.args(handle));
    Ref context = Ref::borrow(handles.context(handle));
    const bool timed = debug;  // the callback may switch it
    const double begin = timed ? time() : 0;
    if (PyContext_Enter(context.get()) < 0) return report(handle);
    auto* tuple = reinterpret_cast<PyTupleObject*>(args.get());
    Ref result = Ref::steal(PyObject_Vectorcall(callback.get(), tuple->ob_item,
                                                static_cast<std::size_t>(Py_SIZE(tuple)), nullptr));
    // Left before the error is reported: the exception handler is called in this context too, and may enter
    // it.
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    if (!result) PyErr_Fetch(&type, &value, &traceback);
    if (PyContext_Exit(context.get()) < 0) PyErr_WriteUnraisable(handle);
    bool ok = true;
    if (!result) {
        PyErr_Restore(type, value, traceback);
        ok = report(handle);
    }
    if (timed && ok) {
        const double took = time() - begin;
        if (took >= slow_callback_duration) {
            slow_reported = true;
            Ref done = Ref::steal(PyObject_CallMethod(self_, "_report_slow", "Od", handle, took));
            if (!done) PyErr_WriteUnraisable(handle);
        }
    }
    return ok;
}

bool LoopCore::report(PyObject* handle) {
    if (leaves_the_loop()) return false;
    asioserve::py::gil.assert_held();
    const Ref error = asioserve::py::take_raised();
    return report_failure(self_, handle, error, handle);
}

// --- waiting for the end of one
// -----------------------------------------------------------------------------------------------------------

void LoopCore::wait_for(PyObject* handle) {
    asioserve::py::gil.assert_held();
    while (running_handle_ == handle && !on_loop_thread()) {
        const std::uint64_t seen = ended_;
        ++waiting_;
        {
            const StayAtExit until_it_is_back;
            const asioserve::py::GilRelease released;
            std::unique_lock lock(ended_mutex_);
            ended_changed_.wait(lock, [&] { return ended_ != seen; });
        }
        --waiting_;
    }
}

void LoopCore::end_handle() {
    running_handle_ = nullptr;
    if (waiting_ == 0) return;
    const std::lock_guard lock(ended_mutex_);
    ++ended_;
    ended_changed_.notify_all();
}

}  // namespace asioloop
