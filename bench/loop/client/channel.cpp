#include "bench/loop/client/channel.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace asioserve::bench {
namespace {

void check(bool good, const char* what) {
    if (!good) {
        throw std::system_error(errno, std::generic_category(), what);
    }
}

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) { check(fd >= 0, "socket"); }
    ~Descriptor() { close(fd_); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const noexcept { return fd_; }

  private:
    int fd_;
};

void connect_inet(int fd, const Target& target) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(target.port);
    if (inet_pton(AF_INET, target.host.c_str(), &address.sin_addr) != 1) {
        throw std::runtime_error("not an IPv4 address: " + target.host);
    }
    check(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "cannot connect");
}

void connect_unix(int fd, const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        throw std::runtime_error("too long for a Unix socket: " + path);
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    check(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "cannot connect");
}

void make_non_blocking(int fd) {
    check(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0, "fcntl");
}

int open_socket(Transport transport) {
    const int family = transport == Transport::unix_stream ? AF_UNIX : AF_INET;
    const int type = transport == Transport::udp ? SOCK_DGRAM : SOCK_STREAM;
    return socket(family, type | SOCK_CLOEXEC, 0);
}

class Plain final : public Channel {
  public:
    explicit Plain(const Target& target) : socket_(open_socket(target.transport)) {
        if (target.transport == Transport::unix_stream) {
            connect_unix(socket_.get(), target.path);
        } else {
            connect_inet(socket_.get(), target);
        }
        const int on = 1;
        if (target.transport == Transport::tcp) {
            setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        }
        make_non_blocking(socket_.get());
    }

    int descriptor() const noexcept override { return socket_.get(); }

    std::size_t write(std::string_view bytes) override {
        const ssize_t sent = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        check(sent >= 0 || errno == EAGAIN, "send");
        return sent < 0 ? 0 : static_cast<std::size_t>(sent);
    }

    std::size_t read(std::span<char> into) override {
        const ssize_t got = recv(socket_.get(), into.data(), into.size(), 0);
        check(got >= 0 || errno == EAGAIN, "recv");
        if (got == 0) {
            throw std::runtime_error("the server closed a connection");
        }
        return got < 0 ? 0 : static_cast<std::size_t>(got);
    }

    bool may_hold_back() const noexcept override { return false; }

  private:
    Descriptor socket_;
};

struct FreeSsl {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};

// One for all connections, as a real client has it: its sessions and tables are not the load's business.
SSL_CTX* tls_context() {
    static const std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_client_method()));
    if (context == nullptr) {
        throw std::runtime_error("OpenSSL made no context");
    }
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context.get();
}

class Tls final : public Channel {
  public:
    explicit Tls(const Target& target)
        : socket_(open_socket(target.transport)), ssl_(SSL_new(tls_context())) {
        connect_inet(socket_.get(), target);
        const int on = 1;
        setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (ssl_ == nullptr || SSL_set_fd(ssl_.get(), socket_.get()) != 1 || SSL_connect(ssl_.get()) != 1) {
            throw std::runtime_error("the TLS handshake failed: " + reason());
        }
        make_non_blocking(socket_.get());
    }

    int descriptor() const noexcept override { return socket_.get(); }

    std::size_t write(std::string_view bytes) override {
        return result_of(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())), "TLS write");
    }

    std::size_t read(std::span<char> into) override {
        return result_of(SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size())), "TLS read");
    }

    bool may_hold_back() const noexcept override { return true; }

  private:
    static std::string reason() {
        const unsigned long code = ERR_get_error();
        const char* text = ERR_reason_error_string(code);
        return text != nullptr ? text : "the connection ended";
    }

    std::size_t result_of(int count, const char* what) {
        if (count > 0) {
            return static_cast<std::size_t>(count);
        }
        const int error = SSL_get_error(ssl_.get(), count);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            throw std::runtime_error(std::string(what) + ": " + reason());
        }
        return 0;
    }

    Descriptor socket_;
    std::unique_ptr<SSL, FreeSsl> ssl_;
};

}  // namespace

std::unique_ptr<Channel> connect_channel(const Target& target) {
    if (target.transport == Transport::tls) {
        return std::make_unique<Tls>(target);
    }
    return std::make_unique<Plain>(target);
}

}  // namespace asioserve::bench
