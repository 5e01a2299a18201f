#include "fallback_switch/command.hpp"

#include <CLI/CLI.hpp>

#include <asio/connect.hpp>
#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>
#include <cstdio>
#include <string>
#include <string_view>

namespace asioserve::fallback {
namespace {

int fail(const std::string& why, int code) {
    std::fprintf(stderr, "asioserve: %s\n", why.c_str());
    return code;
}

/// Sends the line, prints the answer.
int ask(const std::string& path, const std::string& line) {
    asio::io_context io;
    asio::local::stream_protocol::socket socket(io);
    std::string answer;
    asio::error_code error;
    try {
        socket.connect(path, error);
    } catch (const asio::system_error& too_long) {
        error = too_long.code();
    }
    if (error) return fail("no asioserve answers at " + path + ": " + error.message(), 1);
    asio::write(socket, asio::buffer(line + "\n"), error);
    asio::read_until(socket, asio::dynamic_buffer(answer), '\n', error);
    if (error) return fail("asioserve has ended before it answered", 1);
    answer.pop_back();
    if (answer.starts_with("error ")) return fail(answer.substr(6), 1);
    std::puts(answer.substr(answer.find(' ') + 1).c_str());
    return 0;
}

}  // namespace

std::optional<int> run_command(int argc, char** argv) {
    const std::string_view name = argc > 1 ? argv[1] : "";
    if (name != "switch" && name != "status") return std::nullopt;

    CLI::App app(name == "switch" ? "Lets another stage take over in a running asioserve; no request is lost."
                                  : "Says which stage serves in a running asioserve, as JSON.",
                 "asioserve " + std::string(name));
    std::string pid_file;
    std::string control;
    int to = 0;
    if (name == "switch")
        app.add_option("--to", to, "the stage: 1, 2 or 3")
            ->required()
            ->check(CLI::Range(1, 3))
            ->type_name("N");
    app.add_option("--pid-file", pid_file, "as given to the running one")
        ->envname("ASIOSERVE_PID_FILE")
        ->type_name("PATH");
    app.add_option("--control", control, "its control socket [PID-FILE.control]")
        ->envname("ASIOSERVE_CONTROL")
        ->type_name("PATH");
    try {
        app.parse(argc - 1, argv + 1);
    } catch (const CLI::CallForHelp&) {
        std::fputs(app.help().c_str(), stdout);
        return 0;
    } catch (const CLI::ParseError& error) {
        return fail(std::string(name) + ": " + error.what(), 2);
    }
    if (control.empty() && pid_file.empty())
        return fail(std::string(name) + ": which one? Give --pid-file or --control as to the running one", 2);
    return ask(control.empty() ? pid_file + ".control" : control,
               name == "switch" ? "switch " + std::to_string(to) : "status");
}

}  // namespace asioserve::fallback
