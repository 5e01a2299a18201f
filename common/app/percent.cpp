#include "common/app/percent.hpp"

#include <algorithm>
#include <cstddef>

namespace asioserve::app {

namespace {

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string decode(std::string_view text, bool plus) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '%' && i + 2 < text.size()) {
            const int high = hex_digit(text[i + 1]);
            const int low = hex_digit(text[i + 2]);
            if (high >= 0 && low >= 0) {
                out += static_cast<char>(high * 16 + low);
                i += 2;
                continue;
            }
        }
        out += plus && c == '+' ? ' ' : c;
    }
    return out;
}

// What str.strip() takes away among the characters of Latin-1.
bool is_latin1_space(char c) noexcept {
    const auto u = static_cast<unsigned char>(c);
    return (u >= 0x09 && u <= 0x0d) || (u >= 0x1c && u <= 0x20) || u == 0x85 || u == 0xa0;
}

std::string_view strip(std::string_view text) noexcept {
    while (!text.empty() && is_latin1_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_latin1_space(text.back())) text.remove_suffix(1);
    return text;
}

bool is_octal(char c) noexcept {
    return c >= '0' && c <= '7';
}

// http.cookies._unquote: "…" with \" \\ and \ooo in it; anything else is as it is.
std::string unquote_cookie(std::string_view value) {
    if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::string(value);
    value = value.substr(1, value.size() - 2);
    std::string out;
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] != '\\' || i + 1 == value.size()) {
            out += value[i];
        } else if (i + 3 < value.size() && value[i + 1] <= '3' && is_octal(value[i + 1]) &&
                   is_octal(value[i + 2]) && is_octal(value[i + 3])) {
            out += static_cast<char>((value[i + 1] - '0') * 64 + (value[i + 2] - '0') * 8 +
                                     (value[i + 3] - '0'));
            i += 3;
        } else {
            out += value[++i];
        }
    }
    return out;
}

}  // namespace

std::string percent_decode(std::string_view text) {
    return decode(text, false);
}

std::string query_decode(std::string_view text) {
    return decode(text, true);
}

std::optional<std::pair<std::string_view, std::string_view>> QueryPairs::next() noexcept {
    while (!rest_.empty()) {
        const std::size_t end = std::min(rest_.find('&'), rest_.size());
        const std::string_view pair = rest_.substr(0, end);
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        if (pair.empty()) continue;
        const std::size_t equals = std::min(pair.find('='), pair.size());
        return std::pair{pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size()))};
    }
    return std::nullopt;
}

bool query_name_is(std::string_view encoded, std::string_view wanted) {
    if (encoded.find_first_of("%+") == std::string_view::npos) return encoded == wanted;
    return query_decode(encoded) == wanted;
}

std::optional<std::string> find_cookie(std::string_view field, std::string_view name) {
    std::optional<std::string_view> found;
    while (true) {
        const std::size_t end = field.find(';');
        const std::string_view chunk = field.substr(0, end);
        const std::size_t equals = chunk.find('=');
        // Without '=' it is a value without a name (bugzilla.mozilla.org, bug 169091).
        const std::string_view key = equals == chunk.npos ? "" : strip(chunk.substr(0, equals));
        const std::string_view value = strip(equals == chunk.npos ? chunk : chunk.substr(equals + 1));
        if (key == name && !(key.empty() && value.empty())) found = value;
        if (end == field.npos) break;
        field.remove_prefix(end + 1);
    }
    if (!found) return std::nullopt;
    return unquote_cookie(*found);
}

std::string latin1_to_utf8(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    for (const char c : bytes) {
        const auto u = static_cast<unsigned char>(c);
        if (u < 0x80) {
            out += c;
        } else {
            out += static_cast<char>(0xc0 | (u >> 6));
            out += static_cast<char>(0x80 | (u & 0x3f));
        }
    }
    return out;
}

bool is_json_content_type(std::string_view value) {
    value = strip(value.substr(0, value.find(';')));
    std::string type(value);
    std::transform(type.begin(), type.end(), type.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
    constexpr std::string_view application = "application/";
    if (!type.starts_with(application)) return false;
    const std::string_view subtype = std::string_view(type).substr(application.size());
    if (subtype.find('/') != subtype.npos) return false;
    return subtype == "json" || subtype.ends_with("+json");
}

bool has_long_number(std::string_view json) noexcept {
    constexpr std::size_t digits = 19;
    // Looks at every 19th character only: a run of so many digits has one there.
    for (std::size_t at = digits - 1; at < json.size(); at += digits) {
        const auto is_digit = [&](std::size_t i) { return json[i] >= '0' && json[i] <= '9'; };
        if (!is_digit(at)) continue;
        std::size_t first = at;
        while (first > 0 && is_digit(first - 1)) --first;
        std::size_t end = at + 1;
        while (end < json.size() && is_digit(end)) ++end;
        if (end - first >= digits) return true;
    }
    return false;
}

}  // namespace asioserve::app
