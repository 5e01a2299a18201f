// Durations, sizes and headers as people write them.
//
// Threads: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace asioserve::options {

/// `30s`, `1h30m`, `500ms`, `1.5s`, `2d`, or plain seconds such as `30` and `0.5`. Nothing: it is no
/// duration.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The shortest such text that gives the duration again, such as `1h30m`.
std::string duration_text(std::chrono::milliseconds duration);

/// `64KiB`, `100MiB`, `1GiB`, `10kB`, `5MB`, or plain bytes. Nothing: it is no size, or beyond 2^62.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// The shortest such text that gives the size again, such as `64KiB`.
std::string size_text(std::uint64_t bytes);

/// `NAME:VALUE`, the name a token of RFC 9110, the value without control characters; spaces around it go.
std::optional<std::pair<std::string, std::string>> parse_header(std::string_view text);

}  // namespace asioserve::options
