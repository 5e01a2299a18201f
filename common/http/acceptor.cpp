#include "common/http/acceptor.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>

#include "common/http/core.hpp"
#include "common/http/listen.hpp"

namespace asioserve::http {
namespace {

constexpr int batch = 64;                                        // then others have their turn
constexpr auto shortage_pause = std::chrono::milliseconds(100);  // an exhausted table does not recover sooner

int checked_family(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    try {
        check_inherited(fd);
        if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::system_error(errno, std::system_category(), "cannot use the listening socket");
    } catch (...) {
        ::close(fd);
        throw;
    }
    return address.ss_family;
}

/// Whether all connections have the listener's own address, so that none has to be asked for it.
bool is_one_address(int fd) {
    sockaddr_storage a{};
    socklen_t size = sizeof a;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size);
    if (a.ss_family == AF_INET)
        return reinterpret_cast<sockaddr_in*>(&a)->sin_addr.s_addr != htonl(INADDR_ANY);
    if (a.ss_family == AF_INET6)
        return !IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<sockaddr_in6*>(&a)->sin6_addr);
    return true;
}

}  // namespace

Acceptor::Acceptor(Server::Core& core, asio::io_context& io, int fd)
    : core_(core), socket_(io.get_executor()), pause_(io), family_(checked_family(fd)) {
    if (is_one_address(fd)) local_ = name_of_local_end(fd);
    const int on = 1;
    // Inherited by accepted sockets. Not an error where it means nothing.
    if (family_ != AF_UNIX) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    try {
        socket_.assign(fd);
    } catch (...) {
        ::close(fd);
        throw;
    }
}

Acceptor::~Acceptor() {
    *alive_ = false;
    stop();
}

void Acceptor::start() {
    if (waiting_ || !socket_.is_open() || core_.full()) return;
    waiting_ = true;
    socket_.async_wait(decltype(socket_)::wait_read, [this, alive = alive_](const asio::error_code& ec) {
        if (!*alive) return;
        waiting_ = false;
        if (!ec) on_ready();
    });
}

void Acceptor::stop() {
    asio::error_code ignored;
    socket_.close(ignored);
    pause_.cancel();
}

void Acceptor::on_ready() {
    for (int i = 0; i < batch && !core_.full(); ++i) {
        sockaddr_storage peer{};
        socklen_t size = sizeof peer;
        const int fd = ::accept4(socket_.native_handle(), reinterpret_cast<sockaddr*>(&peer), &size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK) break;  // also: another process was quicker
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) return pause();
            continue;  // the connection has failed already; accept(2) tells of it here
        }
        auto* ends = new Ends;
        ends->peer = name_of_end(reinterpret_cast<const sockaddr*>(&peer), size);
        ends->local = local_.empty() ? name_of_local_end(fd) : local_;
        core_.adopt(fd, family_, ends);
    }
    start();
}

/// No descriptors: those who wait stay in the backlog, and the loop does not spin over them.
void Acceptor::pause() {
    ++core_.stats().accept_failures;
    waiting_ = true;
    pause_.expires_after(shortage_pause);
    pause_.async_wait([this, alive = alive_](const asio::error_code& ec) {
        if (!*alive) return;
        waiting_ = false;
        if (!ec) start();
    });
}

}  // namespace asioserve::http
