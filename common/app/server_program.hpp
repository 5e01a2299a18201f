// The Program of a real server: what asioserve._life asks for, done with the server, the runner and the
// signals.
//
// Threads: each member says whose; `phase_` and what belongs to it are the I/O thread's alone, `stop_` and
// `on_loop_` need the GIL. Made before the runner runs, on the main thread.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "common/app/beat.hpp"
#include "common/app/logging.hpp"
#include "common/app/program.hpp"
#include "common/app/proof.hpp"
#include "common/app/signals.hpp"

namespace asioserve::app {

class ServerProgram final : public Program {
  public:
    /// What it works with; all of it outlives it.
    struct Parts {
        asio::io_context& io;
        http::Server& server;
        Runner& runner;
        Signals& signals;
        SupervisorPipe& supervisor;
        Proof* proof;  ///< null when not supervised
        const Log& log;
        PyObject* app;
    };
    struct Settings {
        std::chrono::milliseconds drain_time{30'000};
        bool gc_freeze = true;
        bool fault_proof = false;
        bool fault_proof_hang = false;
        std::vector<std::string> addresses;  ///< for the log line when it listens
        std::string about;                   ///< what follows in that line
    };

    ServerProgram(Parts parts, Settings settings);

    // --- Program -------------------------------------------------------------------------------------------
    int main(PyObject* loop_factory, FunctionRef<void(PyObject* loop)> on_loop) override;
    void drive_io() override;
    http::Server& server() override { return parts_.server; }
    void exit_by(PyObject* exception) override;

    // --- what _life.Control says, for control.cpp; GIL, the loop's thread ----------------------------------
    const Parts& parts() const noexcept { return parts_; }
    const Settings& settings() const noexcept { return settings_; }
    void on_loop(PyObject* loop, PyObject* stop) ASIOSERVE_REQUIRES(py::gil);
    void proved() ASIOSERVE_REQUIRES(py::gil);
    void ready() ASIOSERVE_REQUIRES(py::gil);
    void drain() ASIOSERVE_REQUIRES(py::gil);
    void app_ended(int code) noexcept;
    int interrupted_code() const noexcept;
    void log(Log::Level level, const std::string& text, PyObject* exception) ASIOSERVE_REQUIRES(py::gil);

    /// Since it began to accept. Any thread.
    std::chrono::duration<double> uptime() const noexcept;

  private:
    enum class Phase { starting, serving, draining, drained };

    // I/O thread
    void start_serving();
    void stop(const char* why);
    void drained();
    void tell_python();
    /// The code that this exception asks for; logs what is no wish to exit.
    int code_of(PyObject* exception) ASIOSERVE_REQUIRES(py::gil);
    /// The code of exit_by, where nothing worse has come.
    int with_wish(int code) const noexcept;
    std::chrono::milliseconds closing_time() const noexcept;

    Parts parts_;
    Settings settings_;
    Phase phase_ = Phase::starting;
    py::Ref stop_;                                          ///< tells _life to stop
    FunctionRef<void(PyObject* loop)>* on_loop_ = nullptr;  ///< lives as long as main()
    std::atomic<int> exit_code_{-1};                        ///< of exit_by; the first one counts
    std::atomic<std::chrono::steady_clock::time_point> since_;
};

}  // namespace asioserve::app
