#include "tests/common/http/harness.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "common/http/listen.hpp"

namespace asioserve::test {
namespace {

constexpr auto limit = std::chrono::seconds(20);

}  // namespace

std::string Answer::field(std::string_view lower_name) const {
    const std::string line = "\r\n" + std::string(lower_name) + ": ";
    const std::size_t at = head.find(line);
    if (at == std::string::npos) return {};
    const std::size_t begin = at + line.size();
    return head.substr(begin, head.find("\r\n", begin) - begin);
}

bool Answer::has(std::string_view lower_name) const {
    return head.find("\r\n" + std::string(lower_name) + ": ") != std::string::npos;
}

Client::~Client() {
    close();
}

void Client::close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Client::reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
}

void Client::shut_write() {
    ::shutdown(fd_, SHUT_WR);
}

std::size_t Client::send_some(std::string_view bytes) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
}

void Client::send(std::string_view bytes) {
    bool broken = false;
    harness_.until([&] {
        if (bytes.empty()) return true;
        const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
        if (n < 0 && errno != EAGAIN) broken = true;
        return broken || bytes.empty();
    });
    // A server that has refused may close before it has read all: what it said is what counts.
}

bool Client::fill() {
    char buffer[65536];
    for (;;) {
        const ssize_t n = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) {
            in_.append(buffer, static_cast<std::size_t>(n));
            continue;
        }
        if (n == 0) end_ = true;
        if (n < 0 && errno != EAGAIN) end_ = reset_ = true;
        return end_;
    }
}

std::string Client::take(std::size_t n) {
    harness_.until([&] { return fill() || in_.size() >= n; });
    std::string taken = in_.substr(0, n);
    in_.erase(0, taken.size());
    return taken;
}

std::string Client::rest() {
    harness_.until([&] { return fill(); });
    return std::exchange(in_, {});
}

std::string Client::available() {
    harness_.idle();
    fill();
    return std::exchange(in_, {});
}

bool Client::closed() {
    return rest().empty();
}

Answer Client::answer(bool to_head) {
    Answer a;
    std::size_t end = 0;
    harness_.until([&] { return (end = in_.find("\r\n\r\n")) != std::string::npos || fill(); });
    end = in_.find("\r\n\r\n");
    if (end == std::string::npos) {
        ADD_FAILURE() << "no whole head: " << in_;
        return a;
    }
    a.head = in_.substr(0, end + 2);
    in_.erase(0, end + 4);
    a.status = std::atoi(a.head.c_str() + 9);
    a.close = a.field("connection") == "close";
    a.chunked = a.field("transfer-encoding") == "chunked";
    if (to_head || a.status == 204 || a.status == 304 || a.status < 200) return a;
    if (a.has("content-length")) {
        a.body = take(std::stoul(a.field("content-length")));
        EXPECT_EQ(a.body.size(), std::stoul(a.field("content-length")));
        return a;
    }
    if (!a.chunked) {
        a.body = rest();
        return a;
    }
    for (;;) {
        harness_.until([&] { return in_.find("\r\n") != std::string::npos || fill(); });
        const std::size_t line = in_.find("\r\n");
        if (line == std::string::npos) {
            ADD_FAILURE() << "the chunked body ends early";
            return a;
        }
        const std::size_t size = std::stoul(in_.substr(0, line), nullptr, 16);
        in_.erase(0, line + 2);
        if (size == 0) break;
        a.body += take(size);
        EXPECT_EQ(take(2), "\r\n");
    }
    harness_.until(
        [&] { return in_.starts_with("\r\n") || in_.find("\r\n\r\n") != std::string::npos || fill(); });
    const std::size_t after = in_.starts_with("\r\n") ? 0 : in_.find("\r\n\r\n") + 2;
    a.trailers = in_.substr(0, after);
    in_.erase(0, after + 2);
    return a;
}

Harness::~Harness() {
    started.clear();
    server.reset();
}

void Harness::turn(std::chrono::milliseconds wait) {
    if (io.poll() == 0 && wait.count() != 0 && io.run_one_for(wait) != 0) io.poll();
    io.restart();
    if (!server) return;
    while (server->end_turn()) io.poll();
    io.restart();
}

void Harness::until(const std::function<bool()>& so) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!so()) {
        turn();
        if (std::chrono::steady_clock::now() > end) {
            ADD_FAILURE() << "it did not happen";
            return;
        }
    }
}

void Harness::idle(int turns) {
    for (int i = 0; i < turns; ++i) turn(std::chrono::milliseconds(1));
}

void Harness::serve() {
    server = std::make_unique<http::Server>(io, options, handler, runner, access_log);
    for (const int fd : http::open_tcp("127.0.0.1", 0, 128)) {
        port = http::port_of(fd);
        server->listen(fd);
    }
    server->start();
}

Client Harness::connect(int receive_buffer) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer != 0) ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        ADD_FAILURE() << "cannot connect: " << errno;
    return Client(*this, fd);
}

Answer Harness::ask(std::string_view request, bool to_head) {
    Client c = connect();
    c.send(request);
    return c.answer(to_head);
}

void Harness::keep_started() {
    handler.on_start = [this](Exchange& x, AnswerSink) { started.emplace_back(x); };
}

void Harness::answer_targets() {
    handler.on_start = [](Exchange& x, AnswerSink answer) {
        const std::string text = std::string(x.head().method) + " " + std::string(x.head().target);
        answer({.status = 200, .content_type = "text/plain", .body = text});
    };
}

}  // namespace asioserve::test
