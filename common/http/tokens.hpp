// Characters and words of RFC 9110, by table.
//
// Threads: pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

/// The classes that eight bytes have in common.
inline std::uint8_t classes_of_eight(const char* at) noexcept {
    const auto of = [at](int i) { return char_classes[static_cast<unsigned char>(at[i])]; };
    return static_cast<std::uint8_t>(of(0) & of(1) & of(2) & of(3) & of(4) & of(5) & of(6) & of(7));
}

/// Whether all bytes are of class `c`. Eight at a time, the last ones perhaps twice.
inline bool all(std::string_view text, std::uint8_t c) noexcept {
    if (const std::size_t n = text.size(); n >= 8) {
        for (std::size_t i = 0; i + 8 < n; i += 8)
            if (!(classes_of_eight(text.data() + i) & c)) return false;
        return classes_of_eight(text.data() + n - 8) & c;
    }
    for (const char x : text)
        if (!(char_classes[static_cast<unsigned char>(x)] & c)) return false;
    return true;
}

/// Puts the letters of ASCII among the bytes of a word at `at` into lower case, without looking at each.
template <class Word>
void lower_case_word(char* at) noexcept {
    constexpr auto each = static_cast<Word>(0x0101010101010101);
    constexpr auto high = static_cast<Word>(0x80 * each);
    Word word;
    std::memcpy(&word, at, sizeof word);
    // Seven bits of each byte, so that no sum carries into the next one; bit 7 of the sums compares.
    const Word seven = word & static_cast<Word>(~high);
    const auto from_a = static_cast<Word>(seven + static_cast<Word>((0x80 - 'A') * each));
    const auto behind_z = static_cast<Word>(seven + static_cast<Word>((0x7f - 'Z') * each));
    word |= static_cast<Word>(((from_a ^ behind_z) & ~word & high) >> 2);
    std::memcpy(at, &word, sizeof word);
}

}  // namespace detail

/// In place.
inline void lower_case(char* text, std::size_t n) noexcept {
    if (n >= 8) {
        for (std::size_t i = 0; i + 8 < n; i += 8) detail::lower_case_word<std::uint64_t>(text + i);
        return detail::lower_case_word<std::uint64_t>(text + n - 8);  // some of it for the second time
    }
    if (n >= 4) {
        detail::lower_case_word<std::uint32_t>(text);
        return detail::lower_case_word<std::uint32_t>(text + n - 4);
    }
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

/// Whether one of two characters is in it: less work than two searches for texts that are short and mostly
/// have neither.
inline bool has_any(std::string_view text, char a, char b) noexcept {
    const auto in = [a, b](std::uint64_t word) {
        constexpr std::uint64_t each = 0x0101010101010101;
        // Not 0 if and only if one of its bytes is.
        const auto zeros = [](std::uint64_t w) { return (w - each) & ~w & 0x80 * each; };
        return (zeros(word ^ static_cast<unsigned char>(a) * each) |
                zeros(word ^ static_cast<unsigned char>(b) * each)) != 0;
    };
    const auto load = [text](auto word, std::size_t at) {
        std::memcpy(&word, text.data() + at, sizeof word);
        return std::uint64_t{word};
    };
    const std::size_t n = text.size();
    if (n >= 8) {
        for (std::size_t i = 0; i + 8 < n; i += 8)
            if (in(load(std::uint64_t{}, i))) return true;
        return in(load(std::uint64_t{}, n - 8));
    }
    if (n >= 4) return in(load(std::uint32_t{}, 0) << 32 | load(std::uint32_t{}, n - 4));
    for (const char c : text)
        if (c == a || c == b) return true;
    return false;
}

/// Host and port; may be empty (RFC 9110 section 7.2).
inline bool is_host(std::string_view text) noexcept {
    return detail::all(text, detail::host_char);
}

}  // namespace asioserve::http
