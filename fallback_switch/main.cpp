#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>

#include <asio/io_context.hpp>
#include <cstdio>
#include <exception>
#include <utility>

#include "fallback_switch/command.hpp"
#include "fallback_switch/control.hpp"
#include "fallback_switch/files.hpp"
#include "fallback_switch/signals.hpp"
#include "fallback_switch/sockets.hpp"
#include "fallback_switch/supervisor.hpp"

using namespace asioserve;

namespace {

void set_up_log(const std::string& level) {
    auto logger = spdlog::stderr_color_st("asioserve");
    logger->set_level(spdlog::level::from_str(level));
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-8l%$ asioserve: %v");
    spdlog::set_default_logger(std::move(logger));
}

int supervise(const options::ParseResult& parsed) {
    const options::Options& o = parsed.options;
    set_up_log(o.log_level);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    asio::io_context io(1);
    fallback::Signals signals(io);
    fallback::Sockets sockets(o.listening);
    fallback::PidFile pid_file(o.supervision.pid_file);
    fallback::Supervisor* supervisor = nullptr;
    fallback::Control control(
        io, [&](const auto& line, const auto& reply) { supervisor->on_command(line, reply); });
    fallback::Supervisor::Hooks hooks;
    hooks.first_ready = [&] {
        pid_file.write();
        for (const auto& address : sockets.addresses()) spdlog::info("listening on {}", address);
    };
    hooks.ending = [&] { sockets.close(); };
    hooks.done = [&] {
        signals.stop();
        control.close();
    };
    fallback::Supervisor all(io, o, fallback::Launcher(parsed, sockets.descriptors()), std::move(hooks));
    supervisor = &all;
    if (!o.supervision.control.empty()) control.open(o.supervision.control);
    signals.start([&](int number) { all.on_signal(number); });
    all.start();
    io.run();
    return all.exit_code();
}

}  // namespace

int main(int argc, char** argv) {
    if (const auto code = fallback::run_command(argc, argv)) return *code;
    const auto parsed = options::parse(argc, argv, options::Program::asioserve);
    if (!parsed.run) return parsed.report();
    try {
        return supervise(parsed);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "asioserve: %s\n", error.what());
        return 1;
    }
}
