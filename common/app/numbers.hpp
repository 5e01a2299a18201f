// Text to int, float and bool by the rules of pydantic's lax mode, which FastAPI users know; no others.
//
// Threads: pure functions. No Python.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace asioserve::app {

/// What a text is as an integer.
struct ParsedInt {
    /// What a text turned out to be.
    enum class Is : std::uint8_t {
        number,    ///< `value`
        big,       ///< does not fit: `digits` is a decimal literal without '+', '_' and leading zeros
        no_int,    ///< pydantic's "int_parsing"
        too_long,  ///< pydantic's "int_parsing_size": more than 4,300 digits
    };
    /// Tells which of the fields counts.
    Is is = Is::no_int;
    /// For Is::number.
    std::int64_t value = 0;
    /// For Is::big.
    std::string digits;
};

/// " +1_000.0 " is 1000; the text is UTF-8.
ParsedInt parse_int(std::string_view text);

/// "1e3", ".5", "1_000.5", "inf", "nan"; nothing where it is no number.
std::optional<double> parse_float(std::string_view text);

/// 0/1, true/false, t/f, yes/no, y/n, on/off in any case, without surrounding spaces.
std::optional<bool> parse_bool(std::string_view text) noexcept;

}  // namespace asioserve::app
