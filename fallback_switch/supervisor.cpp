#include "fallback_switch/supervisor.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <system_error>

#include "common/options/values.hpp"

namespace asioserve::fallback {
namespace {

// What a server exits with: the app's startup raised; a flag or a file is wrong.
constexpr int app_failed = 3;
constexpr int wrong_usage = 2;

std::string name_of(int stage) {
    return "stage " + std::to_string(stage);
}
std::string name_of(const Child& child) {
    return name_of(child.stage()) + " (pid " + std::to_string(child.pid()) + ")";
}

/// The app, or how it was called, is at fault: every other stage would end the same way. Only for a child
/// that never accepted connections.
bool no_fault_of_the_stage(const Child& child, int status) {
    if (child.startup_failed() || child.leaving()) return true;
    if (!WIFEXITED(status)) return false;
    const int code = WEXITSTATUS(status);
    // Before the import: a flag, a file or an environment that is wrong. A program that the system cannot
    // load (127) or that aborts is another matter.
    if (child.phase() == Child::Phase::starting) return code == 1 || code == wrong_usage;
    return child.phase() == Child::Phase::importing || code == app_failed;
}

}  // namespace

Supervisor::Supervisor(asio::io_context& io, const options::Options& options, Launcher launcher, Hooks hooks)
    : io_(io),
      how_(options.supervision),
      times_{how_.proof_time, how_.beat_time, options.limits.drain_time},
      launcher_(std::move(launcher)),
      hooks_(std::move(hooks)),
      stage_(how_.stage),
      crashes_(how_.max_crashes, how_.crash_window),
      pause_(io) {}

void Supervisor::start() {
    begin(stage_);
}

void Supervisor::begin(int stage) {
    try {
        incoming_ = std::make_shared<Child>(io_, stage, launcher_.launch(stage), times_, *this);
    } catch (const std::system_error& error) {
        if (serving_ != nullptr) return newcomer_failed(error.what());
        return fall_back(stage, error.what());
    }
    if (serving_ == nullptr) stage_ = stage;
    spdlog::info("{} starts", name_of(*incoming_));
    incoming_->watch();
}

// --- what a server does ---------------------------------------------------------

void Supervisor::child_ready(Child& child) {
    if (incoming_.get() != &child) return;
    const ChildPtr before = std::exchange(serving_, std::exchange(incoming_, nullptr));
    if (child.stage() != stage_) crashes_.forget();
    stage_ = child.stage();
    failed_.erase(stage_);
    spdlog::info("{} serves", name_of(child));
    if (hooks_.first_ready) std::exchange(hooks_.first_ready, nullptr)();
    if (before != nullptr) {
        spdlog::info("{} drains", name_of(*before));
        leaving_.push_back(before);
        before->drain(SIGTERM);
        last_event_ = name_of(child) + " took over from " + name_of(*before);
    }
    answer_switch("ok " + name_of(stage_) + " serves, pid " + std::to_string(child.pid()));
}

void Supervisor::child_leaving(Child& child) {
    if (ending_ != Ending::no) return;
    spdlog::info("{} ends, as the app asked", name_of(child));
    begin_ending(&child);
    child.drain(0);
    for (const ChildPtr& other : {serving_, incoming_})
        if (other != nullptr && other.get() != &child) other->drain(SIGTERM);
}

void Supervisor::child_overdue(Child& child, const std::string& why) {
    spdlog::warn("{} {}: killed", name_of(child), why);
    child.kill();
    const auto is_it = [&](const ChildPtr& one) { return one.get() == &child; };
    if (ending_ != Ending::no || std::any_of(leaving_.begin(), leaving_.end(), is_it)) return;
    if (serving_.get() == &child) {
        leaving_.push_back(std::exchange(serving_, nullptr));
        // Whoever is on the way to replace it does so.
        if (incoming_ == nullptr) fall_back(child.stage(), why);
    } else if (incoming_.get() == &child) {
        leaving_.push_back(std::exchange(incoming_, nullptr));
        if (serving_ != nullptr)
            newcomer_failed(name_of(child) + " " + why);
        else
            fall_back(child.stage(), why);
    }
}

void Supervisor::collect() {
    int status = 0;
    // All of them, not only our own: what an app leaves behind becomes ours to collect, as we are its
    // subreaper.
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) child_ended(pid, status);
    end_if_empty();
}

void Supervisor::child_ended(pid_t pid, int status) {
    const auto all = children();
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const ChildPtr& one) { return one->pid() == pid; });
    if (found == all.end()) return spdlog::debug("collected the orphan {}", pid);
    const ChildPtr& child = *found;
    child->ended();
    // What it had still to say may have been that it is ready, and changed its role.
    const bool served = child == serving_;
    const bool came = child == incoming_;
    if (served) serving_ = nullptr;
    if (came) incoming_ = nullptr;
    std::erase(leaving_, child);
    if (ending_ != Ending::no) {
        if (pid == code_from_ && ending_ == Ending::gently) exit_code_ = exit_code_of(status);
        spdlog::info("{} {}", name_of(*child), describe_exit(status));
    } else if (came) {
        incoming_ended(*child, status);
    } else if (served) {
        serving_ended(*child, status);
    } else {
        spdlog::info("{} {}", name_of(*child), describe_exit(status));
    }
}

void Supervisor::incoming_ended(Child& child, int status) {
    const std::string how = describe_exit(status);
    if (serving_ != nullptr) return newcomer_failed(name_of(child) + " " + how + " before it was ready");
    if (no_fault_of_the_stage(child, status))
        return end_with(child.startup_failed() ? app_failed : exit_code_of(status),
                        name_of(child) + " " + how);
    if (child.proved()) return crashed(child.stage(), how + " while the app started");
    fall_back(child.stage(), how + " before it had proved itself");
}

void Supervisor::serving_ended(Child& child, int status) {
    const std::string how = describe_exit(status);
    if (child.leaving())
        return end_with(exit_code_of(status), name_of(child) + " " + how + ", as the app asked");
    if (incoming_ != nullptr) {
        spdlog::error("{} {}; {} is on its way", name_of(child), how, name_of(*incoming_));
        stage_ = incoming_->stage();
        return;
    }
    crashed(child.stage(), how);
}

void Supervisor::newcomer_failed(const std::string& why) {
    spdlog::error("{}; {} goes on", why, name_of(*serving_));
    last_event_ = why;
    answer_switch("error " + why + "; " + name_of(*serving_) + " goes on");
}

// --- what takes its place -------------------------------------------------------

void Supervisor::crashed(int stage, const std::string& why) {
    const auto pause = crashes_.record(Child::Clock::now());
    if (!pause) {
        return fall_back(stage, why + ", the exit number " + std::to_string(crashes_.count()) + " within " +
                                    options::duration_text(how_.crash_window));
    }
    ++restarts_;
    last_event_ = name_of(stage) + " " + why;
    spdlog::error("{} {}: it is started again{}", name_of(stage), why,
                  pause->count() == 0 ? "" : " in " + options::duration_text(*pause));
    start_after(*pause, stage);
}

void Supervisor::fall_back(int stage, const std::string& why) {
    failed_.insert(stage);
    crashes_.forget();
    const std::string what = name_of(stage) + " " + why;
    last_event_ = what;
    const auto next = next_stage();
    if (!next) return end_with(1, what + " and no other stage is left");
    spdlog::error("{}: stage {} takes over", what, *next);
    answer_switch("error " + what + ": " + name_of(*next) + " takes over");
    // Not from here: this may run inside begin(), and a list of stages that cannot start must not nest.
    start_after(std::chrono::milliseconds(0), *next);
}

std::optional<int> Supervisor::next_stage() const {
    for (const int stage : how_.fallback)
        if (!failed_.contains(stage)) return stage;
    // After a switch away from it, the stage of the command line is there to come back to.
    if (!how_.fallback.empty() && !failed_.contains(how_.stage)) return how_.stage;
    return std::nullopt;
}

void Supervisor::start_after(std::chrono::milliseconds pause, int stage) {
    stage_ = stage;
    pause_.expires_after(pause);
    pause_.async_wait([this, stage](const asio::error_code& cancelled) {
        if (!cancelled && ending_ == Ending::no && incoming_ == nullptr && serving_ == nullptr) begin(stage);
    });
}

// --- what its owner wants -------------------------------------------------------

void Supervisor::on_command(const std::string& line, const Reply& reply) {
    if (line == "status") return reply("ok " + status());
    if (line.size() == 8 && line.starts_with("switch ") && line[7] >= '1' && line[7] <= '3')
        return switch_to(line[7] - '0', reply);
    reply("error unknown command");
}

void Supervisor::switch_to(int stage, const Reply& reply) {
    if (ending_ != Ending::no) return reply("error it is shutting down");
    if (incoming_ != nullptr)
        return reply("error " + name_of(*incoming_) + " is starting: try again when it serves");
    if (serving_ != nullptr && serving_->stage() == stage)
        return reply("ok " + name_of(stage) + " serves already, pid " + std::to_string(serving_->pid()));
    spdlog::info("a switch to {} was asked for", name_of(stage));
    pause_.cancel();
    switch_reply_ = reply;
    failed_.erase(stage);
    begin(stage);
}

void Supervisor::roll() {
    if (ending_ != Ending::no) return;
    if (incoming_ != nullptr || serving_ == nullptr)
        return spdlog::warn("SIGHUP: a server is starting anyway");
    spdlog::info("SIGHUP: a fresh {} takes over", name_of(stage_));
    begin(stage_);
}

std::string Supervisor::status() const {
    const char* state = serving_ != nullptr ? (incoming_ != nullptr ? "switching" : "serving") : "starting";
    if (ending_ != Ending::no) state = "ending";
    const auto age = [](Child::Clock::time_point since) {
        return std::chrono::duration_cast<std::chrono::milliseconds>(Child::Clock::now() - since).count();
    };
    const Child* child = serving_ != nullptr ? serving_.get() : incoming_.get();
    const std::string server = child == nullptr ? ""
                                                : fmt::format(R"("pid":{},"last_sign_ms":{},)", child->pid(),
                                                              age(child->last_sign()));
    // Our own words, and system messages and paths within: quotes are the only thing to mind.
    std::string event = last_event_;
    std::replace_if(
        event.begin(), event.end(), [](char c) { return c == '"' || c == '\\' || c < ' '; }, '\'');
    return fmt::format(
        R"({{"stage":{},"state":"{}",{}"supervisor":{},"restarts":{},"draining":{},"failed_stages":[{}],)"
        R"("uptime_ms":{},"last_event":"{}"}})",
        stage_, state, server, ::getpid(), restarts_, leaving_.size(), fmt::join(failed_, ","), age(began_),
        event);
}

void Supervisor::answer_switch(const std::string& line) {
    if (switch_reply_) std::exchange(switch_reply_, nullptr)(line);
}

void Supervisor::on_signal(int number) {
    switch (number) {
        case SIGCHLD:
            return collect();
        case SIGHUP:
            return roll();
        case SIGINT:
        case SIGTERM:
            return end(number);
        default:
            if (serving_ != nullptr) serving_->signal(number);
    }
}

// --- the end --------------------------------------------------------------------

void Supervisor::end(int signal) {
    if (ending_ == Ending::now) return;
    if (ending_ == Ending::gently) {
        ending_ = Ending::now;
        exit_code_ = 128 + signal;
        spdlog::warn("a second signal: all is killed");
        for (const ChildPtr& child : children()) child->kill();
        return end_if_empty();
    }
    spdlog::info("{}: shutting down", signal == SIGINT ? "SIGINT" : "SIGTERM");
    begin_ending(serving_ != nullptr ? serving_.get() : incoming_.get());
    drain_all(signal);
}

void Supervisor::begin_ending(const Child* whose_code) {
    ending_ = Ending::gently;
    if (whose_code != nullptr) code_from_ = whose_code->pid();
    pause_.cancel();
    answer_switch("error it is shutting down");
    hooks_.ending();
}

void Supervisor::end_with(int code, const std::string& why) {
    exit_code_ = code;
    last_event_ = why;
    spdlog::log(code == 0 ? spdlog::level::info : spdlog::level::critical, "{}: ending with code {}", why,
                code);
    answer_switch("error " + why);
    begin_ending(nullptr);
    drain_all(SIGTERM);
}

void Supervisor::drain_all(int signal) {
    // Those that drain have had their signal; a second one would cut what they still answer.
    if (serving_ != nullptr) serving_->drain(signal);
    if (incoming_ != nullptr) incoming_->drain(signal);
    end_if_empty();
}

void Supervisor::end_if_empty() {
    if (ending_ != Ending::no && children().empty() && hooks_.done) std::exchange(hooks_.done, nullptr)();
}

std::vector<Supervisor::ChildPtr> Supervisor::children() const {
    std::vector<ChildPtr> all = leaving_;
    if (serving_ != nullptr) all.push_back(serving_);
    if (incoming_ != nullptr) all.push_back(incoming_);
    return all;
}

}  // namespace asioserve::fallback
