#include "common/http/server.hpp"

#include "common/http/core.hpp"

namespace asioserve::http {

Server::Server(asio::io_context& io, ServerOptions options, Handler& handler, Runner& runner, AccessLog log)
    : core_(std::make_unique<Core>(io, std::move(options), handler, runner, std::move(log))) {}
Server::~Server() = default;

void Server::listen(int fd) {
    core_->listen(fd);
}
void Server::start() {
    core_->start();
}
bool Server::end_turn() {
    return core_->end_turn();
}
void Server::drain(std::chrono::milliseconds timeout, Job done) {
    core_->drain(timeout, std::move(done));
}
ServerStats Server::stats() const {
    return std::as_const(*core_).stats();
}

void run_turns(asio::io_context& io, Server& server) {
    // poll() ends with a look at the reactor that finds nothing: dear where a turn has a single request. So
    // while turns are that short, it is left out but for every 16th time, when it finds out whether there is
    // more to do by now.
    constexpr unsigned probe = 16;
    bool busy = true;
    unsigned turn = 0;
    while (!io.stopped()) {
        std::size_t handled = io.run_one();
        if (handled == 0) break;
        if (busy || ++turn % probe == 0) {
            handled += io.poll();
            busy = handled > 2;
        }
        while (server.end_turn()) {
            const std::size_t n = io.poll();
            busy = busy || n > 2;
        }
    }
}

}  // namespace asioserve::http
