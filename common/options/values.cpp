#include "common/options/values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace asioserve::options {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array time_units{
    Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000}, Unit{"ms", 1},
};
// Beyond this, adding to a clock in nanoseconds could overflow.
constexpr double longest = 10'000.0 * 86'400'000.0;

constexpr std::array size_units{
    Unit{"GiB", 1ULL << 30}, Unit{"MiB", 1ULL << 20}, Unit{"KiB", 1ULL << 10}, Unit{"GB", 1'000'000'000},
    Unit{"MB", 1'000'000},   Unit{"kB", 1'000},       Unit{"KB", 1'000},       Unit{"B", 1},
};
constexpr std::uint64_t largest = 1ULL << 62;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_number_part(char c) {
    return is_digit(c) || c == '.';
}

/// Takes digits with at most one point off the front. from_chars would also take "inf", "1e5" and a minus.
std::optional<double> take_number(std::string_view& text) {
    const auto end = std::find_if_not(text.begin(), text.end(), is_number_part);
    const std::string_view digits(text.data(), static_cast<std::size_t>(end - text.begin()));
    if (digits.empty() || !is_digit(digits.front()) || !is_digit(digits.back())) return std::nullopt;
    double number = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || stop != digits.data() + digits.size()) return std::nullopt;
    text.remove_prefix(digits.size());
    return number;
}

/// Takes the unit's name off the front: everything up to the next digit.
std::string_view take_word(std::string_view& text) {
    const auto end = std::find_if(text.begin(), text.end(), is_digit);
    const std::string_view word(text.data(), static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(word.size());
    return word;
}

bool is_token(char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || is_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    double total = 0;
    auto next_allowed = time_units.begin();  // units go down, each at most once
    for (bool first = true; first || !text.empty(); first = false) {
        const auto number = take_number(text);
        if (!number) return std::nullopt;
        const auto word = take_word(text);
        if (word.empty()) {
            if (!first || !text.empty()) return std::nullopt;
            total = *number * 1'000;
            break;
        }
        const auto unit =
            std::find_if(next_allowed, time_units.end(), [&](const Unit& u) { return u.name == word; });
        if (unit == time_units.end()) return std::nullopt;
        total += *number * static_cast<double>(unit->factor);
        next_allowed = unit + 1;
    }
    if (!(total <= longest)) return std::nullopt;
    // A bound that somebody sets is never rounded to "none", which is what zero means.
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(total)));
}

std::string duration_text(std::chrono::milliseconds duration) {
    auto rest = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
    if (rest == 0) return "0";
    std::string text;
    for (const Unit& unit : time_units) {
        if (const auto count = rest / unit.factor; count != 0) {
            text += std::to_string(count) + std::string(unit.name);
            rest %= unit.factor;
        }
    }
    return text;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    const std::string_view word(stop, static_cast<std::size_t>(text.data() + text.size() - stop));
    std::uint64_t factor = 1;
    if (!word.empty()) {
        const auto unit =
            std::find_if(size_units.begin(), size_units.end(), [&](const Unit& u) { return u.name == word; });
        if (unit == size_units.end()) return std::nullopt;
        factor = unit->factor;
    }
    if (number > largest / factor) return std::nullopt;
    return number * factor;
}

std::string size_text(std::uint64_t bytes) {
    for (const auto& unit : {size_units[0], size_units[1], size_units[2]}) {
        if (bytes != 0 && bytes % unit.factor == 0)
            return std::to_string(bytes / unit.factor) + std::string(unit.name);
    }
    return std::to_string(bytes);
}

std::optional<std::pair<std::string, std::string>> parse_header(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    const auto name = text.substr(0, colon);
    auto value = text.substr(colon + 1);
    const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    while (!value.empty() && is_space(value.front())) value.remove_prefix(1);
    while (!value.empty() && is_space(value.back())) value.remove_suffix(1);
    const auto is_control = [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    };
    if (!std::all_of(name.begin(), name.end(), is_token)) return std::nullopt;
    if (std::any_of(value.begin(), value.end(), is_control)) return std::nullopt;
    return std::pair{std::string(name), std::string(value)};
}

}  // namespace asioserve::options
