// light_load: connects, warms up, prints "ready", then for each line "SECONDS" on its input runs and prints
// its figures as one line of JSON. The bench reads the server's CPU time in between, when nothing is under
// way.
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "bench/load/load.hpp"

int main(int argc, char** argv) {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
    std::size_t connections = 64;
    std::size_t depth = 1;
    double warm_up = 0.05;
    std::vector<std::string> requests;
    CLI::App cli{"Load for bench.sh: closed loop, one thread, answers are counted and checked for 200."};
    cli.add_option("--host", host, "IPv4 address of the server")->capture_default_str();
    cli.add_option("--port", port, "its port")->required();
    cli.add_option("--connections", connections, "connections")
        ->check(CLI::Range(1, 60'000))
        ->capture_default_str();
    cli.add_option("--depth", depth, "requests sent at once")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    cli.add_option("--warm-up", warm_up, "seconds before the first figures")->capture_default_str();
    // A plain vector would swallow what follows it.
    cli.add_option("--request", requests, "the bytes of a request; connections take turns with them")
        ->required()
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    CLI11_PARSE(cli, argc, argv);
    return asioserve::bench::converse("light_load", warm_up, [&] {
        return asioserve::bench::Load(host, port, connections, depth, requests);
    });
}
