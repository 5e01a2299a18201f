// Stage 3: one thread. The io_context is the asyncio event loop; a request's first step runs where it was
// parsed.
//
// Threads: all of it is the main thread's, but to_python(), to_io() and counters(), which any thread may
// call.
#pragma once

#include <asio/io_context.hpp>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "common/app/program.hpp"
#include "common/runner/runner.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/task_pool.hpp"

namespace stage {

class Runner final : public asioserve::Runner, private asioloop::TurnHook {
  public:
    /// Both outlive the runner.
    Runner(asio::io_context& io, asioserve::Handler& handler) : io_(io), handler_(handler) {}

    int run(asioserve::Program& program) override;
    void start(asioserve::ExchangePtr x, asioserve::Kind kind) override;
    void cancel(asioserve::Exchange& x) override;
    void to_python(asioserve::Job job) override;
    void to_io(asioserve::Job job) override;
    asioserve::Counters counters() const override;

    /// Hands an outcome to the handler and the answer to the exchange; the computation to go on with, or
    /// null.
    asioserve::py::Ref finish(asioserve::Exchange& x, asioserve::Outcome& outcome)
        ASIOSERVE_REQUIRES(asioserve::py::gil);
    /// Lets the handler make the computation (or answer). The request's context and task are current.
    asioserve::py::Ref begin(asioserve::Exchange& x) ASIOSERVE_REQUIRES(asioserve::py::gil);
    /// The app's, or what stands before it.
    asioserve::Handler& handler() noexcept { return handler_; }
    /// The tasks of its requests.
    TaskPool& tasks() noexcept { return tasks_; }

  private:
    asioloop::LoopCore* core() const noexcept { return core_.load(std::memory_order_relaxed); }
    bool end_turn() override;
    void settle() override { tasks_.settle(); }
    void run_deferred() override;
    void attach(PyObject* loop) ASIOSERVE_REQUIRES(asioserve::py::gil);
    void detach() ASIOSERVE_REQUIRES(asioserve::py::gil);
    void drain_jobs();

    // constant after construction
    asio::io_context& io_;
    asioserve::Handler& handler_;

    // the main thread, GIL held
    asioserve::Program* program_ = nullptr;
    std::atomic<asioloop::LoopCore*> core_{nullptr};  // between attach() and detach()
    TaskPool tasks_;
    int stepping_ = 0;  // a handler's Python code is on the stack
    std::vector<std::pair<asioserve::ExchangePtr, asioserve::Kind>> deferred_;
    asioserve::Counter requests_;
    asioserve::Counters ended_;  // what the loop had counted when it ended

    // any thread
    std::mutex jobs_mutex_;
    std::vector<asioserve::Job> jobs_;  // jobs_mutex_
    bool ended_jobs_ = false;           // jobs_mutex_: the loop has ended, nothing runs any more
};

}  // namespace stage
