// What carries a load's bytes: a connected, non-blocking socket, with or without TLS.
// Threads: none; each channel is used by one. GIL: not involved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace asioserve::bench {

/// How a load reaches what it loads.
enum class Transport : std::uint8_t { tcp, unix_stream, udp, tls };

/// Where to.
struct Target {
    Transport transport = Transport::tcp;
    std::string host = "127.0.0.1";  ///< IPv4 address
    std::uint16_t port = 0;
    std::string path;  ///< of a Unix socket
};

/// One connection. Errors and a peer that has closed are std::runtime_error.
class Channel {
  public:
    virtual ~Channel() = default;

    /// To wait for with epoll.
    virtual int descriptor() const noexcept = 0;
    /// Sends what it can: how much that was, 0 for "wait until it is writable".
    virtual std::size_t write(std::string_view bytes) = 0;
    /// What has come: how much, 0 for "wait until it is readable".
    virtual std::size_t read(std::span<char> into) = 0;
    /// Whether more may be left inside, which epoll cannot see, after a read that gave something.
    virtual bool may_hold_back() const noexcept = 0;
};

/// Connects, and shakes hands where there is TLS; certificates are not looked at.
std::unique_ptr<Channel> connect_channel(const Target& target);

}  // namespace asioserve::bench
