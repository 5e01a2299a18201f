// The pid file.
//
// Threads: the only one.
#pragma once

#include <string>

namespace asioserve::fallback {

/// A file with our process id, from write() until this goes.
class PidFile {
  public:
    /// Empty: none is written.
    /// Throws std::system_error at once if it could not be written there: later there would be peers to let
    /// down.
    explicit PidFile(std::string path);
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
