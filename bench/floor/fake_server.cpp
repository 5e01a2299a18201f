// The cost of the seams alone: the whole HTTP side, a runner and a handler that do nothing but give a fixed
// answer.
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include "common/http/listen.hpp"
#include "common/http/server.hpp"
#include "tests/fakes/fake_handler.hpp"
#include "tests/fakes/fake_runner.hpp"

int main(int argc, char** argv) try {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8000;
    asioserve::http::ServerOptions options;
    bool no_deferred_sends = false;
    int keep_alive = 5;
    CLI::App command("Serves a fixed answer through the seams");
    command.add_option("--host", host, "address to listen on")->capture_default_str();
    command.add_option("--port", port, "port, 0 for a free one")->capture_default_str();
    command.add_flag("--no-deferred-sends", no_deferred_sends, "send every answer at once");
    command.add_option("--timeout-keep-alive", keep_alive, "seconds until an idle connection is closed")
        ->capture_default_str();
    CLI11_PARSE(command, argc, argv);
    options.limits.keep_alive = std::chrono::seconds(keep_alive);
    options.deferred_sends = !no_deferred_sends;

    asio::io_context io(ASIO_CONCURRENCY_HINT_UNSAFE_IO);
    asioserve::fakes::FixedHandler handler;
    asioserve::fakes::FakeRunner runner(io, handler);
    asioserve::http::Server server(io, options, handler, runner);
    for (const int fd : asioserve::http::open_tcp(host, port, 1024)) {
        std::fprintf(stderr, "listening on %s\n", asioserve::http::describe(fd).c_str());
        server.listen(fd);
    }
    server.start();
    asio::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait(
        [&](const asio::error_code&, int) { server.drain(std::chrono::seconds(5), [&io] { io.stop(); }); });
    asioserve::http::run_turns(io, server);
    return 0;
} catch (const std::exception& e) {
    std::fprintf(stderr, "fake_server: %s\n", e.what());
    return 1;
}
