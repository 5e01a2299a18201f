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
        /// Drives I/O, on whichever thread.
        asio::io_context& io;
        /// Accepts once ready() was called.
        http::Server& server;
        /// The stage's.
        Runner& runner;
        /// Tell when to stop.
        Signals& signals;
        /// Hears how far it has come.
        SupervisorPipe& supervisor;
        Proof* proof;  ///< null when not supervised
        /// For whoever reads it.
        const Log& log;
        /// The asioserve.App. Borrowed.
        PyObject* app;
    };
    /// What the command line says.
    struct Settings {
        /// For answers that have begun.
        std::chrono::milliseconds drain_time{30'000};
        /// gc.freeze() after startup.
        bool gc_freeze = true;
        /// The canaries report a failure.
        bool fault_proof = false;
        /// The canaries never end.
        bool fault_proof_hang = false;
        std::vector<std::string> addresses;  ///< for the log line when it listens
        std::string about;                   ///< what follows in that line
    };

    /// Begins to watch signals and the supervisor.
    ServerProgram(Parts parts, Settings settings);

    // --- Program -------------------------------------------------------------------------------------------
    int main(PyObject* loop_factory, FunctionRef<void(PyObject* loop)> on_loop) override;
    void drive_io() override;
    http::Server& server() override { return parts_.server; }
    void exit_by(PyObject* exception) override;

    // --- what _life.Control says, for control.cpp; GIL, the loop's thread ----------------------------------
    /// What it works with.
    const Parts& parts() const noexcept { return parts_; }
    /// What the command line says.
    const Settings& settings() const noexcept { return settings_; }
    /// The loop runs; `stop` is called when the server has drained.
    void on_loop(PyObject* loop, PyObject* stop) ASIOSERVE_REQUIRES(py::gil);
    /// The canaries are back.
    void proved() ASIOSERVE_REQUIRES(py::gil);
    /// The app has started: accept connections.
    void ready() ASIOSERVE_REQUIRES(py::gil);
    /// Stops serving as a signal would.
    void drain() ASIOSERVE_REQUIRES(py::gil);
    /// The app is shut down; what is left gets its time, but not for ever.
    void app_ended(int code) noexcept;
    /// The exit code when a signal came before the server was ready.
    int interrupted_code() const noexcept;
    /// Writes a line, with the traceback of `exception` unless it is null or None.
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
