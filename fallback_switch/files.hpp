// The pid file, and owning things that need closing or removing.
//
// Threads: the only one.
#pragma once

#include <string>

namespace asioserve::fallback {

/// A file with our process id, from write() until this goes.
class PidFile {
  public:
    explicit PidFile(std::string path) : path_(std::move(path)) {}
    ~PidFile();
    PidFile(const PidFile&) = delete;
    PidFile& operator=(const PidFile&) = delete;

    /// Writes it in one step (a reader never sees half of it). Nothing happens without a path or the second
    /// time. Throws std::system_error.
    void write();

  private:
    std::string path_;
    bool written_ = false;
};

}  // namespace asioserve::fallback
