// A small Program around the runner under test: a loop that lives until the scenario is over, an io_context,
// and handlers given as Python source.
//
// Threads: run() on the main thread, where it stays until the program ends; the scenario has a thread of its
// own, and what is under "for the scenario" is for it (each call takes and releases the GIL or posts to I/O
// as needed).
#pragma once

#include "tests/contract/source_handler.hpp"

#include <asio/io_context.hpp>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/app/program.hpp"
#include "common/http/server.hpp"
#include "tests/contract/recorded_exchange.hpp"

namespace contract {

using MakeRunner =
    std::function<std::unique_ptr<asioserve::Runner>(asio::io_context& io, asioserve::Handler& handler)>;

/// Makes the runner of the stage that the tests are linked with: the one place where the stages' tests differ
/// (tests/contract/runner_under_test.cpp), so that all else is compiled once.
MakeRunner runner_under_test();

/// A request on its way.
struct Asked {
    std::shared_ptr<Record> record;
    asioserve::ExchangePtr exchange;

    Answer wait() const { return record->wait(); }
    bool answered() const { return record->answered(); }
};

class Host final : public asioserve::Program {
  public:
    /// `source` has the handlers (tests/contract/source_handler.hpp says how). It finds `native.note(text)`.
    Host(const MakeRunner& make, const std::string& source) : Host(make, source, nullptr) {}
    /// With a handler that needs no source; it outlives the host.
    Host(const MakeRunner& make, asioserve::Handler& handler) : Host(make, "", &handler) {}
    ~Host() override;

    /// Runs the program until `scenario` has returned and the loop has ended. The exit code.
    int run(std::function<void()> scenario);

    // --- for the scenario ---------------------------------------------------------------------------------
    Asked begin(const std::string& name, const std::string& query = "") {
        return begin(name, query, handler_.kind(name));
    }
    Asked begin(const std::string& name, const std::string& query, asioserve::Kind kind);
    /// All in one turn of I/O.
    std::vector<Asked> begin_many(const std::string& name, int count);
    Answer ask(const std::string& name, const std::string& query = "") { return begin(name, query).wait(); }
    void cancel(const Asked& asked);
    /// Runs it on the I/O thread; `wait`: until it has run.
    void on_io(std::function<void()> job, bool wait = true);
    /// str() of a Python expression over the globals of the source, on this thread.
    std::string eval(const std::string& expression);
    /// The same on the thread of the loop, from a callback of the loop.
    std::string eval_on_loop(const std::string& expression);
    /// Blocks until Python has called native.note(text), once per call; fails the test after ten seconds.
    void await_note(const std::string& text);

    asioserve::Runner& runner() noexcept { return *runner_; }
    SourceHandler& handler() noexcept { return handler_; }
    std::thread::id io_thread() const noexcept { return io_thread_; }
    std::thread::id loop_thread() const noexcept { return loop_thread_; }
    /// What reached the loop's exception handler or sys.unraisablehook; the test fails on what is not taken.
    std::vector<std::string> take_unexpected();

    // --- Program ------------------------------------------------------------------------------------------
    int main(PyObject* loop_factory, asioserve::FunctionRef<void(PyObject*)> on_loop) override;
    void drive_io() override;
    asioserve::http::Server& server() override { return *server_; }
    void exit_by(PyObject* exception) override;

  private:
    Host(const MakeRunner& make, const std::string& source, asioserve::Handler* other);
    void load(const std::string& source) ASIOSERVE_REQUIRES(asioserve::py::gil);
    void stop() ASIOSERVE_REQUIRES(asioserve::py::gil);
    static PyObject* note(PyObject* capsule, PyObject* text);
    static PyObject* unexpected(PyObject* capsule, PyObject* text);
    static PyObject* ready(PyObject* capsule, PyObject* loop_and_stop);

    asio::io_context io_{ASIO_CONCURRENCY_HINT_UNSAFE_IO};
    SourceHandler handler_;
    std::unique_ptr<asioserve::Runner> runner_;
    std::unique_ptr<asioserve::http::Server> server_;
    std::thread::id io_thread_, loop_thread_;
    // Under the GIL.
    asioserve::py::Ref life_, stop_;
    int exit_code_ = 0;
    // Under lock_.
    std::mutex lock_;
    std::condition_variable changed_;
    bool ready_ = false;
    std::vector<std::string> notes_, unexpected_;
};

}  // namespace contract
