// The server's own log, on stderr. What the app logs goes through Python's logging, as ever.
//
// Threads: every member may be called on any thread, with or without the GIL. A call writes to stderr before
// it returns, so it blocks while nobody reads there.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace spdlog {
class logger;
}

namespace asioserve::app {

class Log {
  public:
    /// In this order, least first.
    enum class Level { trace, debug, info, warning, error, critical };

    /// `level` is one of uvicorn's names, critical to trace. Throws std::invalid_argument for another.
    explicit Log(const std::string& level);
    ~Log();
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    /// Whether a line of this level would be written: ask before making a dear one.
    bool shows(Level level) const noexcept;
    /// Writes one entry; it may have several lines.
    void write(Level level, std::string_view text) const noexcept;

    /// For whoever looks for a fault.
    void debug(std::string_view text) const noexcept { write(Level::debug, text); }
    /// What happens in normal operation.
    void info(std::string_view text) const noexcept { write(Level::info, text); }
    /// What may need attention.
    void warning(std::string_view text) const noexcept { write(Level::warning, text); }
    /// What went wrong.
    void error(std::string_view text) const noexcept { write(Level::error, text); }

  private:
    std::unique_ptr<spdlog::logger> logger_;
};

/// `text` from a peer, fit for one line of a log: control characters, quotes and backslashes as `\xNN`.
std::string printable(std::string_view text);

}  // namespace asioserve::app
