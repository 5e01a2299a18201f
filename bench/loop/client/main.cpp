// echo_load: connects, warms up, prints "ready", then for each line "SECONDS" on its input runs and prints
// its figures as one line of JSON: the same conversation as light_load's.
#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "bench/loop/client/echo_load.hpp"

int main(int argc, char** argv) {
    using asioserve::bench::Transport;
    asioserve::bench::Target target;
    asioserve::bench::MessageShape shape;
    std::size_t connections = 64;
    double warm_up = 0.05;
    const std::map<std::string, Transport> transports{{"tcp", Transport::tcp},
                                                      {"unix", Transport::unix_stream},
                                                      {"udp", Transport::udp},
                                                      {"tls", Transport::tls}};
    CLI::App cli{"Load for bench.sh loop: closed loop, one thread, every byte of every answer is compared."};
    cli.add_option("--transport", target.transport, "tcp, unix, udp or tls")
        ->transform(CLI::CheckedTransformer(transports));
    cli.add_option("--host", target.host, "IPv4 address of the server")->capture_default_str();
    cli.add_option("--port", target.port, "its port");
    cli.add_option("--path", target.path, "its Unix socket");
    cli.add_option("--connections", connections, "connections")
        ->check(CLI::Range(1, 60'000))
        ->capture_default_str();
    cli.add_option("--request", shape.request, "bytes of a message")->check(CLI::PositiveNumber);
    cli.add_option("--answer", shape.answer, "bytes of its answer")->check(CLI::PositiveNumber);
    cli.add_option("--depth", shape.depth, "messages under way on each connection")
        ->check(CLI::PositiveNumber);
    cli.add_option("--warm-up", warm_up, "seconds before the first figures")->capture_default_str();
    CLI11_PARSE(cli, argc, argv);
    return asioserve::bench::converse("echo_load", warm_up,
                                      [&] { return asioserve::bench::EchoLoad(target, connections, shape); });
}
