// Starts a stage's program as a child process.
//
// Threads: the supervisor has one; a fork in a process with more of them could copy a lock that is held.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/options/parse.hpp"

namespace asioserve::fallback {

/// A child that was just started, and our end of its pipe.
struct Launched {
    /// Leader of a process group of its own.
    pid_t pid;
    int pipe;  ///< read end, non-blocking, close-on-exec; the caller closes it
};

class Launcher {
  public:
    /// `sockets` are handed to every child under their own numbers. `parsed` is copied.
    Launcher(options::ParseResult parsed, std::vector<int> sockets);

    /// Throws std::system_error with a sentence that names the program if it cannot be started.
    Launched launch(int stage) const;

    /// The program of a stage: in ASIOSERVE_STAGE_DIR, or beside our own.
    static std::string program_of(int stage);

  private:
    std::vector<std::string> arguments(int stage, int pipe) const;
    std::vector<std::string> environment() const;

    options::ParseResult parsed_;
    std::vector<int> sockets_;
};

}  // namespace asioserve::fallback
