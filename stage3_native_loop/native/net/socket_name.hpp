// One end of a connection: its address as the kernel has given it, shown as module socket writes it.
//
// It is kept as bytes, and made into an object when somebody asks: most connections are never asked, and a
// tuple with a string weighs ten times as much. Threads: object() under the GIL.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <memory>

#include "common/python/ref.hpp"

namespace asioloop {

class SocketName {
  public:
    /// getsockname() or getpeername().
    using Question = int (*)(int, sockaddr*, socklen_t*) noexcept;

    /// Whether object() can show names of this family.
    static bool knows(int family) noexcept;

    /// Keeps what the kernel has filled.
    void set(const sockaddr* address, socklen_t size);
    /// Asks the kernel. Where it has no answer there is no name.
    void ask(int fd, Question question);
    /// What module socket says; None: there is no name. Null with an exception set.
    asioserve::py::Ref object() const;

  private:
    const sockaddr* address() const noexcept;

    alignas(sockaddr_in6) std::array<std::byte, sizeof(sockaddr_in6)> small_{};
    std::unique_ptr<std::byte[]> large_;  // what does not fit: paths
    socklen_t size_ = 0;
};

}  // namespace asioloop
