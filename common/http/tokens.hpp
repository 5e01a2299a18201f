// Characters and words of RFC 9110, by table.
//
// Threads: pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace asioserve::http {
namespace detail {

enum : std::uint8_t { token_char = 1, host_char = 2 };

/// Class of each byte (RFC 9110 section 5.6.2), by table.
inline constexpr auto char_classes = [] {
    std::array<std::uint8_t, 256> t{};
    const auto add = [&t](std::string_view chars, std::uint8_t c) {
        for (const char x : chars) t[static_cast<unsigned char>(x)] |= c;
    };
    constexpr std::string_view alnum = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    add(alnum, token_char | host_char);
    add("!#$%&'*+-.^_`|~", token_char);
    add("-._~%!$&'()*+;=:[]", host_char);  // RFC 3986 section 3.2.2, but for the comma: a list is not a host
    return t;
}();

/// Lower case of each byte of ASCII, by table.
inline constexpr auto lower = [] {
    std::array<char, 256> t{};
    for (int i = 0; i < 256; ++i)
        t[static_cast<std::size_t>(i)] = static_cast<char>(i >= 'A' && i <= 'Z' ? i + 'a' - 'A' : i);
    return t;
}();

/// Whether all bytes are of class `c`.
inline bool all(std::string_view text, std::uint8_t c) noexcept {
    for (const char x : text)
        if (!(char_classes[static_cast<unsigned char>(x)] & c)) return false;
    return true;
}

}  // namespace detail

/// In place.
inline void lower_case(char* text, std::size_t n) noexcept {
    for (std::size_t i = 0; i < n; ++i) text[i] = detail::lower[static_cast<unsigned char>(text[i])];
}

/// `lower_word` is in lower case.
inline bool equals_ignoring_case(std::string_view text, std::string_view lower_word) noexcept {
    if (text.size() != lower_word.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (detail::lower[static_cast<unsigned char>(text[i])] != lower_word[i]) return false;
    return true;
}

/// Whether it is a token: a method, a field's name.
inline bool is_token(std::string_view text) noexcept {
    return !text.empty() && detail::all(text, detail::token_char);
}

/// Host and port; may be empty (RFC 9110 section 7.2).
inline bool is_host(std::string_view text) noexcept {
    return detail::all(text, detail::host_char);
}

}  // namespace asioserve::http
