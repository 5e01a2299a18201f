#include "common/app/numbers.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <limits>
#include <system_error>

namespace asioserve::app {

namespace {

constexpr std::size_t most_digits = 4300;  // sys.int_info.default_max_str_digits

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

// The length of the space that the text starts (or ends) with: Unicode's White_Space, as Rust's str::trim.
// Not Python's str.strip(), which also takes U+001C to U+001F.
std::size_t leading_space(std::string_view t) noexcept {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(t[i]); };
    if (t.empty()) return 0;
    if ((at(0) >= 0x09 && at(0) <= 0x0d) || at(0) == 0x20) return 1;
    if (t.size() >= 2 && at(0) == 0xc2 && (at(1) == 0x85 || at(1) == 0xa0)) return 2;
    if (t.size() < 3) return 0;
    if (at(0) == 0xe1 && at(1) == 0x9a && at(2) == 0x80) return 3;
    if (at(0) == 0xe3 && at(1) == 0x80 && at(2) == 0x80) return 3;
    if (at(0) != 0xe2) return 0;
    if (at(1) == 0x81) return at(2) == 0x9f ? 3 : 0;
    if (at(1) != 0x80) return 0;
    return (at(2) >= 0x80 && at(2) <= 0x8a) || at(2) == 0xa8 || at(2) == 0xa9 || at(2) == 0xaf ? 3 : 0;
}

std::string_view trim(std::string_view t) noexcept {
    while (const std::size_t n = leading_space(t)) t.remove_prefix(n);
    for (bool more = true; more;) {
        more = false;
        for (std::size_t n = 1; n <= 3 && n <= t.size(); ++n) {
            if (leading_space(t.substr(t.size() - n)) == n) {
                t.remove_suffix(n);
                more = true;
                break;
            }
        }
    }
    return t;
}

bool underscores_are_between_digits(std::string_view t) noexcept {
    for (std::size_t i = 0; i < t.size(); ++i) {
        if (t[i] != '_') continue;
        if (i == 0 || i + 1 == t.size() || !is_digit(t[i - 1]) || !is_digit(t[i + 1])) return false;
    }
    return true;
}

}  // namespace

ParsedInt parse_int(std::string_view text) {
    ParsedInt result;
    std::string_view t = trim(text);
    bool negative = false;
    if (!t.empty() && (t.front() == '-' || t.front() == '+')) {
        negative = t.front() == '-';
        t.remove_prefix(1);
    }
    if (const std::size_t dot = t.find('.'); dot != t.npos) {
        const std::string_view fraction = t.substr(dot + 1);
        if (fraction.empty() || fraction.find_first_not_of('0') != fraction.npos) return result;
        t = t.substr(0, dot);
    }
    if (t.empty() || !is_digit(t.front()) || t.find_first_not_of("0123456789_") != t.npos) return result;
    // Behind leading zeros any number of underscores may stand; elsewhere they are between two digits.
    if (t.front() == '0') {
        const std::size_t digit = t.find_first_not_of("0_");
        if (digit != t.npos)
            t.remove_prefix(digit);
        else
            t.remove_prefix(t.size() - 1);
    }
    if (!underscores_are_between_digits(t)) return result;
    std::string plain;
    if (t.find('_') != t.npos) {
        std::copy_if(t.begin(), t.end(), std::back_inserter(plain), is_digit);
        t = plain;
    }
    const std::size_t zeros = std::min(t.find_first_not_of('0'), t.size() - 1);
    t.remove_prefix(zeros);
    if (t.size() > most_digits) {
        result.is = ParsedInt::Is::too_long;
    } else if (t.size() <= static_cast<std::size_t>(std::numeric_limits<std::int64_t>::digits10)) {
        std::from_chars(t.data(), t.data() + t.size(), result.value);
        if (negative) result.value = -result.value;
        result.is = ParsedInt::Is::number;
    } else {
        result.digits.reserve(t.size() + 1);
        if (negative) result.digits += '-';
        result.digits += t;
        result.is = ParsedInt::Is::big;
    }
    return result;
}

std::optional<double> parse_float(std::string_view text) {
    std::string_view t = trim(text);
    std::string plain;
    if (t.find('_') != t.npos) {
        // Either space around it or underscores in it, not both: so does pydantic.
        if (t.size() != text.size()) return std::nullopt;
        if (t.front() == '_' || t.back() == '_' || t.find("__") != t.npos) return std::nullopt;
        std::copy_if(t.begin(), t.end(), std::back_inserter(plain), [](char c) { return c != '_'; });
        t = plain;
    }
    if (!t.empty() && t.front() == '+') {
        t.remove_prefix(1);
        if (!t.empty() && t.front() == '-') return std::nullopt;
    }
    if (t.empty()) return std::nullopt;
    const std::string_view digits = t.front() == '-' ? t.substr(1) : t;
    // from_chars also knows "nan(…)"; nobody else does.
    if (digits.empty() || digits.back() == ')') return std::nullopt;
    double value = 0;
    const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), value);
    if (error == std::errc::invalid_argument || end != t.data() + t.size()) return std::nullopt;
    if (error == std::errc::result_out_of_range) {
        // Too large or too small to say: which of both shows in the sign of the exponent.
        const std::size_t e = t.find_first_of("eE");
        const bool small = (e != t.npos && e + 1 < t.size() && t[e + 1] == '-') || digits.starts_with("0.") ||
                           digits.starts_with('.');
        value = small ? 0.0 : std::numeric_limits<double>::infinity();
        if (t.front() == '-') value = -value;
    }
    return value;
}

std::optional<bool> parse_bool(std::string_view text) noexcept {
    std::array<char, 8> lower{};
    if (text.empty() || text.size() > std::string_view("false").size()) return std::nullopt;
    for (std::size_t i = 0; i < text.size(); ++i)
        lower[i] = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + ('a' - 'A')) : text[i];
    const std::string_view t(lower.data(), text.size());
    for (const std::string_view yes : {"1", "true", "t", "yes", "y", "on"})
        if (t == yes) return true;
    for (const std::string_view no : {"0", "false", "f", "no", "n", "off"})
        if (t == no) return false;
    return std::nullopt;
}

}  // namespace asioserve::app
