// One server process, from its start to its end: what it says, what is expected of it next, how it is ended.
//
// Threads: the only one.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "fallback_switch/launch.hpp"
#include "fallback_switch/messages.hpp"

namespace asioserve::fallback {

class Child;

/// What a child's owner hears. The child is alive during the call.
class ChildEvents {
  public:
    virtual ~ChildEvents() = default;
    /// It accepts connections.
    virtual void child_ready(Child& child) = 0;
    /// Its app wants to end: it drains, and its exit code is meant.
    virtual void child_leaving(Child& child) = 0;
    /// It did not do in time what was expected of it; `why` completes "stage 3 …".
    virtual void child_overdue(Child& child, const std::string& why) = 0;
};

/// How long a child may take.
struct ChildTimes {
    /// From the start to `proved`, the import not counted in.
    std::chrono::milliseconds proof;
    /// Between two signs of life.
    std::chrono::milliseconds beat;
    /// From the signal to the end.
    std::chrono::milliseconds drain;
};

class Child : public std::enable_shared_from_this<Child> {
  public:
    /// For deadlines: does not jump.
    using Clock = std::chrono::steady_clock;
    /// How far it has come.
    enum class Phase { starting, importing, imported, proving, proved, serving, draining };

    /// Takes the pipe over; says nothing before watch().
    Child(asio::io_context& io, int stage, Launched launched, ChildTimes times, ChildEvents& events);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// Begins to listen to it and to watch the time.
    void watch();
    /// Sends a signal, as long as it has not been waited for.
    void signal(int number);
    /// Sends `number` (SIGTERM, SIGINT, 0 for none as it drains anyway); from now on only its end is
    /// expected, within the time for draining as long as it shows signs of life.
    void drain(int number);
    /// SIGKILL for it and what else is in its process group: its subprocesses would outlive it.
    void kill();
    /// waitpid() has told its end: takes in what it had still said, and never signals that pid again.
    void ended();

    /// Which server it is.
    int stage() const noexcept { return stage_; }
    /// Its process, also its group.
    pid_t pid() const noexcept { return pid_; }
    /// How far it has come.
    Phase phase() const noexcept { return phase_; }
    /// Whether it has said so.
    bool proved() const noexcept { return proved_; }
    /// It said that the app's own startup failed.
    bool startup_failed() const noexcept { return startup_failed_; }
    /// It said that its end and its exit code are what a handler wanted.
    bool leaving() const noexcept { return leaving_; }
    /// When it last said something.
    Clock::time_point last_sign() const noexcept { return last_sign_; }

  private:
    void read_later();
    bool read_now();
    void hear(Message message);
    void expect(std::chrono::milliseconds within);
    void arm();
    void deadline_reached();
    std::string complaint() const;

    asio::posix::stream_descriptor pipe_;
    asio::steady_timer timer_;
    MessageReader reader_;
    const ChildTimes times_;
    ChildEvents& events_;
    const int stage_;
    const pid_t pid_;
    bool alive_ = true;
    Phase phase_ = Phase::starting;
    bool proved_ = false;
    bool startup_failed_ = false;
    bool leaving_ = false;
    Clock::time_point last_sign_ = Clock::now();
    Clock::time_point deadline_ = Clock::time_point::max();
};

}  // namespace asioserve::fallback
