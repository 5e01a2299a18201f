// What the handler, its streams and its Python objects share. Outlives the handler while a Python object
// needs it.
//
// Threads: constant between load() and unload(), except what says so.
#pragma once

#include "common/python/ref.hpp"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "common/app/app_handler.hpp"
#include "common/app/plan.hpp"

namespace asioserve::app {

/// The types of the module `_asioserve`.
struct NativeTypes {
    /// Of the classes in Python.
    /// @{
    py::Ref request, body_stream, sink, ready;
    /// @}
};

struct Shared {
    /// Without a plan until the app is loaded.
    explicit Shared(AppHandler::Options o) : options(std::move(o)) {}

    /// Whether the calling thread is the one that called route() last: then an exchange's verbs may be called
    /// at once. Any thread.
    bool on_io_thread() const noexcept {
        return io_thread.load(std::memory_order_relaxed) == std::this_thread::get_id();
    }
    /// Runs a job where the exchange's verbs may be called: at once on the I/O thread, else soon. Any thread.
    /// Without a runner (the program is over) the job is dropped.
    template <class F>
    void run_io(F&& job) const {
        if (on_io_thread())
            job();
        else if (Runner* r = runner.load(std::memory_order_acquire))
            r->to_io(Job(std::forward<F>(job)));
    }
    /// Runs a job with the GIL on the loop's thread. Any thread.
    template <class F>
    void run_python(F&& job) const {
        if (Runner* r = runner.load(std::memory_order_acquire)) r->to_python(Job(std::forward<F>(job)));
    }
    /// Logs an exception that came out of the app.
    void report(PyObject* exception, const Exchange& x) const ASIOSERVE_REQUIRES(py::gil);

    /// What the app does not say itself.
    const AppHandler::Options options;
    std::unique_ptr<Plan>
        plan;           ///< null before load() and after unload(); GIL, or the I/O thread while serving
    NativeTypes types;  ///< GIL
    /// See AppHandler::attach.
    AppHandler::ExitBy exit_by;
    /// Answered without Python, by path.
    std::map<std::string, AppHandler::NativePage, std::less<>> pages;
    std::atomic<Runner*> runner{nullptr};      ///< any thread
    std::atomic<std::thread::id> io_thread{};  ///< any thread; route() writes it
};

}  // namespace asioserve::app
