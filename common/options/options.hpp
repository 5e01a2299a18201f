// What the command line, the environment and the config file say: plain values, checked, with uvicorn's
// defaults.
//
// Threads: none; constant after parse().
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace asioserve::options {

/// Where a `def` handler runs unless its route says otherwise.
enum class Sync {
    in_line,  ///< on the I/O thread, which it blocks
    pool,     ///< in the loop's default executor
};

/// Where to listen. Descriptors and a Unix socket stand in for host and port, as in uvicorn.
struct Listening {
    /// Name or address; `::` is every address.
    std::string host = "127.0.0.1";
    std::uint16_t port = 8000;  ///< 0: the system picks one
    std::string uds;            ///< path of a Unix socket; empty: none
    std::vector<int> fds;       ///< inherited listening sockets
    /// Connections that may wait to be accepted.
    int backlog = 2048;

    /// True if host and port count.
    bool tcp() const noexcept { return uds.empty() && fds.empty(); }
};

/// Bounds on what a peer may ask for; 0 means no bound unless a line says otherwise.
struct Limits {
    /// Request line and headers together; at least 1 KiB.
    std::uint64_t head_bytes = 64 * 1024;
    /// Of a request.
    std::uint64_t body_bytes = 100 * 1024 * 1024;
    /// At once; further ones wait to be accepted.
    std::uint64_t connections = 0;
    std::uint64_t pipelined = 32;                   ///< at least 1
    std::uint64_t send_buffer_bytes = 256 * 1024;   ///< at least 4 KiB
    std::chrono::milliseconds header_time{30'000};  ///< --timeout-header
    std::chrono::milliseconds body_time{60'000};    ///< --timeout-body
    std::chrono::milliseconds keep_alive{5'000};    ///< --timeout-keep-alive; 0: close after each answer
    std::chrono::milliseconds write_time{60'000};   ///< --timeout-write
    std::chrono::milliseconds drain_time{30'000};   ///< --timeout-graceful-shutdown; 0: do not wait
};

/// What a supervised server does wrong on purpose, so that tests can show each way to fall back. Hidden
/// flags.
struct Faults {
    bool proof = false;             ///< the canaries report a failure
    bool proof_hang = false;        ///< the canaries never end
    std::uint64_t crash_after = 0;  ///< abort() after this many requests; 0: never
    std::uint64_t hang_after = 0;   ///< the loop stands still after this many requests; 0: never
};

/// What only `asioserve`, the supervisor, takes.
struct Supervision {
    /// Which server is started first.
    int stage = 3;
    /// Tried in this order, the stage itself left out; empty: `none`.
    std::vector<int> fallback{2, 1};
    /// For a server to prove itself.
    std::chrono::milliseconds proof_time{10'000};
    /// Between two signs of life.
    std::chrono::milliseconds beat_time{15'000};
    /// See max_crashes.
    std::chrono::milliseconds crash_window{60'000};
    int max_crashes = 5;  ///< more exits than this within crash_window: the next stage
    /// Written once it serves; empty: none.
    std::string pid_file;
    std::string control;  ///< path of the control socket; by default `PID-FILE.control`
    int fault_stage = 0;  ///< the stage whose server gets the fault flags; 0: all
};

/// Everything that a program of ours can be told.
struct Options {
    std::string app;                         ///< `module:attr` or `file.py:attr`
    std::vector<std::string> app_arguments;  ///< what came after `--`: sys.argv[1:]
    std::string app_dir;                     ///< first on sys.path; empty: the current folder
    bool factory = false;                    ///< the attribute is a function that returns the app
    std::string env_file;                    ///< read into the environment before the app is imported
    std::string python;                      ///< a virtual environment or its python; empty: the active one
    bool isolated = false;                   ///< as python3 -I
    bool gc_freeze = true;                   ///< gc.freeze() after startup
    /// For routes that do not say it themselves.
    Sync sync = Sync::in_line;

    /// Where peers find it.
    Listening listening;
    /// What peers may ask for.
    Limits limits;
    std::vector<std::pair<std::string, std::string>> headers;  ///< added to every answer; names as given
    /// Send `Server`.
    bool server_header = true;
    /// Send `Date`.
    bool date_header = true;

    std::string log_level = "info";  ///< critical, error, warning, info, debug, trace
    /// A line for each answer.
    bool access_log = true;
    std::string metrics_path;  ///< begins with a slash; empty: no such page
    std::string status_path;   ///< begins with a slash; empty: no such page

    int supervisor_fd = -1;  ///< pipe to the supervisor; -1: not supervised
    /// For tests only.
    Faults faults;
    /// For `asioserve` only.
    Supervision supervision;
};

/// A flag and its value as they were given, to be handed on: `--name=value`.
struct Given {
    std::string name;  ///< without the dashes
    /// As text; `true` or `false` for a switch.
    std::string value;
};

}  // namespace asioserve::options
