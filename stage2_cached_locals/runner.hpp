// Stage 2: the same two threads, but what does not change is looked up once, requests and answers cross in
// batches with one wake-up each, and an answer is serialised where it is produced.
// Threads: the loop has the main thread, I/O a second one. start() takes the GIL only for plain functions.
#pragma once

#include "common/app/guard.hpp"

#include <asio/io_context.hpp>
#include <atomic>
#include <deque>
#include <memory>
#include <thread>

#include "common/app/program.hpp"
#include "common/runner/runner.hpp"
#include "stage2_cached_locals/batch.hpp"
#include "stage2_cached_locals/cached.hpp"
#include "stage2_cached_locals/wake_fd.hpp"

namespace stage {

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
    struct JobItem;
    struct alignas(64) Counted {  // by one thread
        asioserve::Counter requests, gil_acquisitions, hand_offs, tasks;
    };
    template <void (Runner::*member)()>
    static PyObject* call(PyObject* capsule, PyObject*);
    void on_loop(PyObject* loop) ASIOSERVE_REQUIRES(py::gil);
    Request& new_request(asioserve::ExchangePtr x);
    void cross_to_loop(Item& item);
    void wake_loop();
    void drain() ASIOSERVE_REQUIRES(py::gil);
    void begin(Request& r) ASIOSERVE_REQUIRES(py::gil);
    void submit(Request& r, asioserve::Computation* next) ASIOSERVE_REQUIRES(py::gil);
    void hand_back(Request& r) ASIOSERVE_REQUIRES(py::gil);
    void schedule_flush() ASIOSERVE_REQUIRES(py::gil);
    void flush() ASIOSERVE_REQUIRES(py::gil);
    void wake_io();
    void finish(Request& r);
    void give_up(Request& r) ASIOSERVE_REQUIRES(py::gil);
    void end() ASIOSERVE_REQUIRES(py::gil);

    // Constant after construction.
    asio::io_context& io_;
    asioserve::Handler& handler_;
    // Loop thread, under the GIL.
    std::unique_ptr<asioserve::app::Guards> guards_;
    std::unique_ptr<Cached> cached_;
    py::Ref flush_;
    Counted on_loop_;
    bool flush_scheduled_ = false, io_wake_up_owed_ = false;
    std::size_t first_steps_to_come_ = 0;
    // I/O thread.
    std::deque<Request> requests_;
    Request* free_ = nullptr;
    Counted on_io_;
    // Any thread.
    Batch to_loop_, to_io_;
    WakeFd wake_fd_;
    std::atomic<bool> ended_{false};
    std::atomic<std::thread::id> io_thread_, loop_thread_;
    std::atomic<std::uint64_t> wake_ups_{0};
};

}  // namespace stage
