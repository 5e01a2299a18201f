// The listening sockets: opened once, before the first child, and held until the end, whichever child serves.
// A connection that comes between two children waits in their backlog.
//
// Threads: the only one.
#pragma once

#include <string>
#include <vector>

#include "common/options/options.hpp"

namespace asioserve::fallback {

class Sockets {
  public:
    /// Opens or checks what is asked for. Throws std::system_error with a sentence if one cannot be had.
    explicit Sockets(const options::Listening& at);
    ~Sockets() { close(); }
    Sockets(const Sockets&) = delete;
    Sockets& operator=(const Sockets&) = delete;

    /// Closes them; a Unix socket's file goes too. Peers are refused as soon as the last server has closed
    /// its own.
    void close();

    /// To be inherited; owned by this.
    const std::vector<int>& descriptors() const noexcept { return descriptors_; }
    /// Where to find them, such as "http://127.0.0.1:8000"; the real port, not 0.
    std::vector<std::string> addresses() const;

  private:
    std::vector<int> descriptors_;
    std::string unix_path_;
};

}  // namespace asioserve::fallback
