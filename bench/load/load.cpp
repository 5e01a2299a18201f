#include "bench/load/load.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace asioserve::bench {
namespace {

int connect_to(const std::string& host, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
        throw std::runtime_error("not an IPv4 address: " + host);
    }
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0, "socket");
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int error = errno;
        close(fd);
        throw std::system_error(error, std::generic_category(), "cannot connect");
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

}  // namespace

Load::Load(const std::string& host, std::uint16_t port, std::size_t connections, std::size_t depth,
           const std::vector<std::string>& requests)
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), depth_(depth), connections_(connections), buffer_(256 * 1024) {
    check(epoll_ >= 0, "epoll_create1");
    for (const std::string& request : requests) {
        std::string& batch = batches_.emplace_back();
        for (std::size_t i = 0; i < depth; ++i) {
            batch += request;
        }
    }
    for (std::size_t i = 0; i < connections_.size(); ++i) {
        Connection& connection = connections_[i];
        connection.fd = connect_to(host, port);
        connection.batch = &batches_[i % batches_.size()];
        epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
        check(epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) == 0, "epoll_ctl");
    }
}

Load::~Load() {
    for (const Connection& connection : connections_) {
        if (connection.fd >= 0) {
            close(connection.fd);
        }
    }
    close(epoll_);
}

void Load::watch(Connection& connection, bool for_writing) {
    epoll_event event{.events = EPOLLIN | (for_writing ? EPOLLOUT : 0U), .data = {.ptr = &connection}};
    check(epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event) == 0, "epoll_ctl");
}

void Load::send_rest(Connection& connection) {
    const char* from = connection.batch->data() + (connection.batch->size() - connection.unsent);
    const ssize_t sent = send(connection.fd, from, connection.unsent, MSG_NOSIGNAL);
    check(sent >= 0 || errno == EAGAIN, "send");
    const bool waited = connection.unsent != connection.batch->size();
    connection.unsent -= sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (connection.unsent != 0 || waited) {
        watch(connection, connection.unsent != 0);
    }
}

void Load::send_batch(Connection& connection) {
    connection.left = depth_;
    connection.unsent = connection.batch->size();
    ++busy_;
    send_rest(connection);
}

void Load::on_readable(Connection& connection, bool more) {
    const ssize_t got = recv(connection.fd, buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    check(got >= 0, "recv");
    if (got == 0) {
        throw std::runtime_error("the server closed a connection");
    }
    const std::size_t answers = connection.answers.feed({buffer_.data(), static_cast<std::size_t>(got)});
    if (!connection.answers.error().empty()) {
        throw std::runtime_error(connection.answers.error());
    }
    if (answers > connection.left) {
        throw std::runtime_error("more answers than requests");
    }
    answered_ += answers;
    connection.left -= answers;
    if (answers != 0 && connection.left == 0) {
        --busy_;
        if (more) {
            send_batch(connection);
        }
    }
}

LoadFigures Load::run(std::chrono::duration<double> length) {
    const std::uint64_t answered_before = answered_;
    LoadRun run(length);
    for (Connection& connection : connections_) {
        send_batch(connection);
    }
    run.wait_while([this] { return busy_ != 0; }, epoll_,
                   [this](void* data, std::uint32_t what, bool more) {
                       Connection& connection = *static_cast<Connection*>(data);
                       if ((what & EPOLLOUT) != 0 && connection.unsent != 0) {
                           send_rest(connection);
                       }
                       if ((what & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
                           on_readable(connection, more);
                       }
                   });
    return run.figures(answered_ - answered_before);
}

}  // namespace asioserve::bench
