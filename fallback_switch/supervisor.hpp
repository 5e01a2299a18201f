// Which stage's server runs, and what takes its place when it cannot be believed. One server serves at a
// time; while it is replaced, the new one comes up beside it on the same sockets, and only then the old one
// drains.
//
// Threads: the only one.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fallback_switch/child.hpp"
#include "fallback_switch/control.hpp"
#include "fallback_switch/crash_policy.hpp"
#include "fallback_switch/launch.hpp"

namespace asioserve::fallback {

class Supervisor : public ChildEvents {
  public:
    /// What the rest of the program does at turning points; each is called once at most.
    struct Hooks {
        std::function<void()> first_ready;  ///< the first server accepts connections
        std::function<void()> ending;  ///< no server will be started any more: nobody should wait for one
        std::function<void()> done;    ///< all have ended
    };

    /// Starts nothing before start().
    Supervisor(asio::io_context& io, const options::Options& options, Launcher launcher, Hooks hooks);

    /// Starts the first server.
    void start();
    /// A signal came: INT and TERM end all, twice means at once; HUP replaces the server by a fresh one of
    /// its stage; CHLD collects the dead, ours and adopted ones; others go to the server.
    void on_signal(int number);
    /// A line of the control socket.
    void on_command(const std::string& line, const Reply& reply);
    /// For exit(), once `done` was called.
    int exit_code() const noexcept { return exit_code_; }

    void child_ready(Child& child) override;
    void child_leaving(Child& child) override;
    void child_overdue(Child& child, const std::string& why) override;

  private:
    enum class Ending { no, gently, now };
    using ChildPtr = std::shared_ptr<Child>;

    void begin(int stage);
    void collect();
    void child_ended(pid_t pid, int status);
    void incoming_ended(Child& child, int status);
    void serving_ended(Child& child, int status);
    void newcomer_failed(const std::string& why);
    void crashed(int stage, const std::string& why);
    void fall_back(int stage, const std::string& why);
    std::optional<int> next_stage() const;
    void start_after(std::chrono::milliseconds pause, int stage);

    void switch_to(int stage, const Reply& reply);
    void roll();
    std::string status() const;
    void answer_switch(const std::string& line);

    void end(int signal);
    void end_with(int code, const std::string& why);
    void begin_ending(const Child* whose_code);
    void drain_all(int signal);
    void end_if_empty();
    std::vector<ChildPtr> children() const;

    asio::io_context& io_;
    const options::Supervision how_;
    const ChildTimes times_;
    Launcher launcher_;
    Hooks hooks_;

    ChildPtr serving_;               ///< accepts connections
    ChildPtr incoming_;              ///< comes up, to be the first one or to replace serving_
    std::vector<ChildPtr> leaving_;  ///< drain, or are killed and not collected yet
    int stage_;                      ///< of the server that serves, or that will
    std::set<int> failed_;           ///< stages that are not fallen back to any more
    CrashPolicy crashes_;
    asio::steady_timer pause_;
    Reply switch_reply_;
    Ending ending_ = Ending::no;
    int exit_code_ = 0;
    pid_t code_from_ = 0;  ///< when ending: whose exit code is ours
    int restarts_ = 0;
    std::string last_event_ = "started";
    Child::Clock::time_point began_ = Child::Clock::now();
};

}  // namespace asioserve::fallback
