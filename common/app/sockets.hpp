// The listening sockets of this process, from the command line until the server takes them over.
//
// Threads: the main one, before any other.
#pragma once

#include <string>
#include <vector>

#include "common/http/server.hpp"
#include "common/options/options.hpp"

namespace asioserve::app {

/// Opens what the options name, before there is an interpreter: a port in use shows at once. Closes what
/// nobody took over, and removes the Unix socket that it made.
class Sockets {
  public:
    /// Throws std::system_error with a sentence.
    explicit Sockets(const options::Listening& where);
    ~Sockets();
    Sockets(const Sockets&) = delete;
    Sockets& operator=(const Sockets&) = delete;

    /// For log lines: "http://127.0.0.1:8000".
    const std::vector<std::string>& addresses() const noexcept { return addresses_; }
    /// Hands the sockets over, once.
    void give_to(http::Server& server);

  private:
    std::vector<int> fds_;
    std::vector<std::string> addresses_;
    std::string unix_path_;  ///< to be removed; empty: none
};

/// The absolute path of a folder; of the current one where `path` is empty.
std::string absolute_folder(const std::string& path);

}  // namespace asioserve::app
