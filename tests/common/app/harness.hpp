// An AppHandler with a runner for tests: one thread that acts at once, or queues that stand for two threads.
//
// Threads: one. In the second mode route() is called on another thread, so that everything else believes that
// it is not on the I/O thread.
#pragma once

#include "common/python/ref.hpp"

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/app/app_handler.hpp"
#include "common/app/computation.hpp"
#include "tests/common/app/test_exchange.hpp"

namespace asioserve::app::test {

class TestRunner final : public Runner {
  public:
    explicit TestRunner(bool queued) : queued_(queued) {}
    int run(Program&) override { return 0; }
    void start(ExchangePtr, Kind) override {}
    void cancel(Exchange&) override { ++cancels; }
    void to_python(Job job) override { run(std::move(job)); }
    void to_io(Job job) override { run(std::move(job)); }
    Counters counters() const override { return {}; }
    /// Runs what is queued, also what comes meanwhile; returns how many.
    int run_jobs();

    int cancels = 0;

  private:
    void run(Job job);

    const bool queued_;
    std::deque<Job> jobs_;
};

class Harness {
  public:
    Harness(PyObject* app, bool two_threads, bool sync_pool);
    ~Harness();
    Harness(const Harness&) = delete;
    Harness& operator=(const Harness&) = delete;

    ExchangePtr exchange(Asked asked);
    Routed route(Exchange& x);
    /// The coroutine to be driven, or null.
    py::Ref start(TestExchange& x);
    py::Ref finish(TestExchange& x, py::Ref object, bool ok);
    void abort(Exchange& x);

    AppHandler handler;
    TestRunner runner;
    std::vector<RunError> errors;
    std::vector<std::string> exits;

  private:
    const bool two_threads_;
};

}  // namespace asioserve::app::test
