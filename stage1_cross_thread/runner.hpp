// Stage 1: every coroutine crosses over to the thread of a stock asyncio loop by run_coroutine_threadsafe,
// with TaskLocals of its own, and its result crosses back to be serialised.
//
// Threads: the loop has the main thread, I/O a second one. The public verbs say who may call them; start()
// takes the GIL itself.
#pragma once

#include "common/app/guard.hpp"

#include <asio/io_context.hpp>
#include <atomic>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include "common/app/program.hpp"
#include "common/runner/runner.hpp"

namespace stage {

namespace py = asioserve::py;

class Runner final : public asioserve::Runner {
  public:
    /// `io` and `handler` outlive the runner. Takes the GIL, as the destructor does.
    Runner(asio::io_context& io, asioserve::Handler& handler);
    ~Runner() override;

    int run(asioserve::Program& program) override;
    void start(asioserve::ExchangePtr x, asioserve::Kind kind) override;
    void cancel(asioserve::Exchange& x) override;
    void to_python(asioserve::Job job) override;
    void to_io(asioserve::Job job) override;
    asioserve::Counters counters() const override;

  private:
    struct Request;
    struct Names;
    struct TaskLocals;

    void on_loop(PyObject* loop) ASIOSERVE_REQUIRES(py::gil);
    py::Ref loop() const ASIOSERVE_REQUIRES(py::gil);
    TaskLocals task_locals() const ASIOSERVE_REQUIRES(py::gil);
    void submit(Request& r, asioserve::Computation* next) ASIOSERVE_REQUIRES(py::gil);
    static PyObject* hand_back(PyObject* capsule, PyObject* future);
    void finish(Request& r);
    void give_up(Request& r) ASIOSERVE_REQUIRES(py::gil);
    void forget(Request& r) ASIOSERVE_REQUIRES(py::gil);
    static PyObject* run_job(PyObject* capsule, PyObject* nothing);
    template <class F>
    void post_to_io(F f);

    // Constant after construction.
    asio::io_context& io_;
    asioserve::Handler& handler_;
    std::unique_ptr<const Names> names_;
    // Under the GIL. The counters too: it is what makes them have one writer at a time.
    std::unique_ptr<asioserve::app::Guards> guards_;
    std::vector<asioserve::Job> early_;  // came before there was a loop
    enum class Life : char { before, running, after } life_ = Life::before;
    std::uint64_t begun_ = 0;  // submissions whose first step the loop has taken
    asioserve::Counter requests_started_, gil_acquisitions_, hand_offs_, wake_ups_, tasks_;
    // I/O thread; the Python objects in them under the GIL.
    std::list<Request> requests_;
    asioserve::Counter io_jobs_;
    // Any thread.
    std::atomic<std::thread::id> io_thread_;
    std::atomic<std::uint64_t> waiting_for_io_{0}, io_wake_ups_{0};
};

}  // namespace stage
