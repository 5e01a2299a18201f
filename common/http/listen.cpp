#include "common/http/listen.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <system_error>

namespace asioserve::http {
namespace {

/// A descriptor that is closed unless it is let go.
class Fd {
  public:
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& o) noexcept : fd_(o.release()) {}
    Fd& operator=(Fd&&) = delete;
    ~Fd() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const noexcept { return fd_; }
    int release() noexcept {
        const int fd = fd_;
        fd_ = -1;
        return fd;
    }

  private:
    int fd_;
};

[[noreturn]] void fail(int error, const std::string& what) {
    throw std::system_error(error, std::system_category(), what);
}

void set_port(sockaddr* address, std::uint16_t port) {
    if (address->sa_family == AF_INET6)
        reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
    else
        reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
}

Fd listen_on(const sockaddr* address, socklen_t size, int backlog, bool both_families) {
    const std::string name = name_of_end(address, size);
    Fd fd(::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (fd.get() < 0) fail(errno, "cannot make a socket for " + name);
    const int on = 1;
    const int only_v6 = both_families ? 0 : 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    // Inherited by every accepted socket on Linux: saves a system call per connection.
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (address->sa_family == AF_INET6)
        ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
    if (::bind(fd.get(), address, size) != 0) fail(errno, "cannot listen on " + name);
    if (::listen(fd.get(), backlog) != 0) fail(errno, "cannot listen on " + name);
    return fd;
}

/// Whether somebody accepts connections at the socket file.
bool is_live(const sockaddr_un& address) {
    const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (probe.get() < 0) return true;
    if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
    return errno != ECONNREFUSED && errno != ENOENT;  // EAGAIN: a full backlog, so somebody is there
}

}  // namespace

std::vector<int> open_tcp(const std::string& host, std::uint16_t port, int backlog) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_protocol = IPPROTO_TCP;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const std::string service = std::to_string(port);
    if (const int error = ::getaddrinfo(host.empty() ? "::" : host.c_str(), service.c_str(), &hints, &found);
        error != 0) {
        if (error == EAI_SYSTEM) fail(errno, "cannot find the host " + host);
        throw std::system_error(EADDRNOTAVAIL, std::system_category(),
                                "cannot find the host " + host + " (" + ::gai_strerror(error) + ")");
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, ::freeaddrinfo);

    std::vector<Fd> opened;
    for (const addrinfo* a = found; a; a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
        if (!opened.empty() && port == 0) set_port(a->ai_addr, port_of(opened.front().get()));
        const bool any_v6 = a->ai_family == AF_INET6 &&
                            IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<sockaddr_in6*>(a->ai_addr)->sin6_addr);
        try {
            opened.push_back(listen_on(a->ai_addr, a->ai_addrlen, backlog, any_v6));
        } catch (const std::system_error& e) {
            const bool no_such_family = e.code().value() == EAFNOSUPPORT || e.code().value() == EADDRNOTAVAIL;
            // A machine without IPv6: "all addresses" means those of IPv4, and a name may have both kinds.
            if (no_such_family && host.empty()) return open_tcp("0.0.0.0", port, backlog);
            const bool last_chance = a->ai_next == nullptr && opened.empty();
            if (!no_such_family || last_chance) throw;
        }
    }
    std::vector<int> result;
    for (Fd& fd : opened) result.push_back(fd.release());
    return result;
}

int open_unix(const std::string& path, int backlog, unsigned permissions) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        fail(ENAMETOOLONG, "cannot listen on unix:" + path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);

    struct stat file {};
    if (::lstat(path.c_str(), &file) == 0) {
        if (!S_ISSOCK(file.st_mode))
            fail(EEXIST, "cannot listen on unix:" + path + ", which is not a socket");
        if (is_live(address)) fail(EADDRINUSE, "cannot listen on unix:" + path);
        if (::unlink(path.c_str()) != 0) fail(errno, "cannot replace the stale socket " + path);
    }
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd.get() < 0) fail(errno, "cannot make a socket for unix:" + path);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        fail(errno, "cannot listen on unix:" + path);
    // Between bind and listen nobody can connect yet, so a moment with other permissions does no harm.
    if (::chmod(path.c_str(), permissions) != 0 || ::listen(fd.get(), backlog) != 0) {
        const int error = errno;
        remove_unix(path);
        fail(error, "cannot listen on unix:" + path);
    }
    return fd.release();
}

void remove_unix(const std::string& path) noexcept {
    ::unlink(path.c_str());
}

void check_inherited(int fd) {
    const std::string name = "cannot use descriptor " + std::to_string(fd);
    int value = 0;
    socklen_t size = sizeof value;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size) != 0) fail(errno, name);
    if (value != SOCK_STREAM) fail(EPROTOTYPE, name);
    size = sizeof value;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) != 0) fail(errno, name);
    if (value == 0) fail(EINVAL, name + ": it does not listen");
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) fail(errno, name);
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) fail(errno, name);
}

void keep_over_exec(int fd) {
    if (::fcntl(fd, F_SETFD, 0) != 0) fail(errno, "cannot pass on descriptor " + std::to_string(fd));
}

std::string name_of_end(const sockaddr* address, socklen_t size) {
    if (address->sa_family == AF_UNIX) {
        const auto* local = reinterpret_cast<const sockaddr_un*>(address);
        constexpr socklen_t before_path = offsetof(sockaddr_un, sun_path);
        if (size <= before_path) return "unix:";
        return "unix:" + std::string(local->sun_path, ::strnlen(local->sun_path, size - before_path));
    }
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (::getnameinfo(address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) !=
        0)
        return "?";
    std::string name = address->sa_family == AF_INET6 ? "[" : "";
    name.append(host).append(address->sa_family == AF_INET6 ? "]:" : ":").append(port);
    return name;
}

std::string name_of_local_end(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "?";
    return name_of_end(reinterpret_cast<const sockaddr*>(&address), size);
}

std::string describe(int fd) {
    const std::string name = name_of_local_end(fd);
    return name.starts_with("unix:") || name == "?" ? name : "http://" + name;
}

std::uint16_t port_of(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
    if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
    return 0;
}

}  // namespace asioserve::http
