// What host.hpp is to the runners that drive Python, for the fake one: I/O on a thread of its own, no
// interpreter.
//
// Threads: run() on the main thread, the rest for the scenario, which has that thread here.
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "tests/contract/recorded_exchange.hpp"
#include "tests/fakes/fake_runner.hpp"

namespace contract {

struct Asked {
    std::shared_ptr<Record> record;
    asioserve::ExchangePtr exchange;

    Answer wait() const { return record->wait(); }
};

class Host {
  public:
    explicit Host(asioserve::Handler& handler) : runner_(io_, handler) {}

    int run(const std::function<void()>& scenario) {
        auto work = asio::make_work_guard(io_);
        std::thread io([this] { io_.run(); });
        io_thread_ = io.get_id();
        scenario();
        work.reset();
        io.join();
        return 0;
    }
    Asked begin(const std::string& name, const std::string& query, asioserve::Kind kind) {
        auto record = std::make_shared<Record>();
        auto x = asioserve::ExchangePtr::adopt(new RecordedExchange(name, query, io_thread_, record));
        on_io([this, x, kind] { runner_.start(x, kind); }, false);
        return {std::move(record), std::move(x)};
    }
    void cancel(const Asked& asked) {
        on_io([this, x = asked.exchange] { runner_.cancel(*x); }, false);
    }
    void on_io(std::function<void()> job, bool wait = true) {
        auto done = std::make_shared<std::promise<void>>();
        asio::post(io_, [job = std::move(job), done] {
            job();
            done->set_value();
        });
        if (wait) done->get_future().wait();
    }
    asioserve::Runner& runner() noexcept { return runner_; }
    std::thread::id io_thread() const noexcept { return io_thread_; }

  private:
    asio::io_context io_{ASIO_CONCURRENCY_HINT_UNSAFE_IO};
    asioserve::fakes::FakeRunner runner_;
    std::thread::id io_thread_;
};

}  // namespace contract
