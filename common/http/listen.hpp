// Listening sockets: opened by whoever owns them (the server, or the supervisor for its children), then
// handed to http::Server::listen as descriptors.
//
// Threads: plain functions over system calls; any thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

namespace asioserve::http {

/// Opens non-blocking, close-on-exec listening TCP sockets for every address that `host` stands for: a name,
/// an IPv4 or IPv6 address, "::" (both families on one socket where the system can), or empty for all
/// addresses. Port 0 takes a free port, the same one for all addresses. Throws std::system_error whose text
/// is fit for a user.
std::vector<int> open_tcp(const std::string& host, std::uint16_t port, int backlog);

/// Opens a listening Unix socket. A socket file that nobody listens on any more is replaced, a live one
/// refused, and anything that is no socket left alone. `permissions` are set before anybody can connect.
int open_unix(const std::string& path, int backlog, unsigned permissions = 0666);

/// Removes the file of open_unix; not an error when it is gone already.
void remove_unix(const std::string& path) noexcept;

/// Makes sure that an inherited descriptor is a listening stream socket, and makes it non-blocking and
/// close-on-exec.
void check_inherited(int fd);

/// Lets a descriptor survive exec, for a child that inherits it.
void keep_over_exec(int fd);

/// "http://127.0.0.1:8000", "http://[::1]:8000" or "unix:/path", for log lines.
std::string describe(int fd);

/// "127.0.0.1:4711", "[::1]:4711" or "unix:/path" ("unix:" for an end without a name).
std::string name_of_end(const sockaddr* address, socklen_t size);
/// Our own end of a connection, as Endpoints has it.
std::string name_of_local_end(int fd);

/// The port that the socket is bound to; 0 for one that has none.
std::uint16_t port_of(int fd);

}  // namespace asioserve::http
