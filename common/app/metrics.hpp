// What the server tells about itself: Prometheus text, status JSON, and the line at shutdown.
//
// Threads: pure functions of a snapshot.
#pragma once

#include <chrono>
#include <string>

#include "common/http/server.hpp"
#include "common/runner/counters.hpp"

namespace asioserve::app {

/// A snapshot.
struct Figures {
    /// Which server it is.
    int stage = 0;
    std::string version;  ///< of this product
    std::string python;   ///< of CPython
    /// Since it began to accept.
    std::chrono::duration<double> uptime{0};
    /// The runner's.
    Counters counters;
    /// The HTTP side's.
    http::ServerStats server;
};

/// Prometheus' text format 0.0.4 (--metrics-path).
std::string metrics_text(const Figures& figures);
/// The content type that goes with it.
inline constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";

/// {"stage":3,"pid":4711,"version":"0.1.0","requests":12,"uptime":3.5} and a little more (--status-path).
std::string status_json(const Figures& figures);

/// One line for the log at shutdown.
std::string counters_line(const Figures& figures);

}  // namespace asioserve::app
