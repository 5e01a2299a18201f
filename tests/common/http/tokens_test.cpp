// What works on words of several bytes gives what a look at each byte gives, wherever the byte is.
#include "common/http/tokens.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <string>

namespace asioserve::http {
namespace {

// Calls check(text, at) with each byte at each place of texts up to 40 bytes, in memory of just their length.
template <class Check>
void everywhere(char filler, Check check) {
    for (std::size_t size = 1; size <= 40; ++size) {
        const std::unique_ptr<char[]> text(new char[size]);
        for (std::size_t at = 0; at < size; ++at)
            for (int byte = 0; byte < 256; ++byte) {
                std::fill_n(text.get(), size, filler);
                text[at] = static_cast<char>(byte);
                check(text.get(), size, at);
            }
    }
}

TEST(Tokens, OnlyLettersOfAsciiAreLowered) {
    for (const char filler : {'Q', 'q', '\xff', '\0'})
        everywhere(filler, [](char* text, std::size_t size, std::size_t) {
            std::string expected(text, size);
            for (char& c : expected)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
            lower_case(text, size);
            ASSERT_EQ(std::string_view(text, size), expected);
        });
    lower_case(nullptr, 0);
}

TEST(Tokens, OneByteOfAnotherClassIsSeenAnywhere) {
    constexpr std::string_view no_token = "()<>@,;:\\\"/[]?={} \t\x7f";
    constexpr std::string_view host = "-._~%!$&'()*+;=:[]";
    everywhere('x', [&](const char* text, std::size_t size, std::size_t at) {
        const auto u = static_cast<unsigned char>(text[at]);
        const bool token = u > 0x20 && u < 0x7f && no_token.find(text[at]) == no_token.npos;
        ASSERT_EQ(is_token({text, size}), token) << int{u} << " at " << at << " of " << size;
        const bool alnum = u < 0x80 && std::isalnum(u) != 0;
        ASSERT_EQ(is_host({text, size}), alnum || (u != 0 && host.find(text[at]) != host.npos))
            << int{u} << " at " << at << " of " << size;
    });
    EXPECT_FALSE(is_token(""));
    EXPECT_TRUE(is_host(""));
}

TEST(Tokens, EitherOfTwoCharactersIsFoundAnywhere) {
    for (const char filler : {'x', '\xa3', '\xbf', '"', '>', '$', '@'})
        everywhere(filler, [](const char* text, std::size_t size, std::size_t at) {
            ASSERT_EQ(has_any({text, size}, '#', '?'), text[at] == '#' || text[at] == '?')
                << at << " of " << size;
        });
    EXPECT_FALSE(has_any("", '#', '?'));
    EXPECT_TRUE(has_any(std::string_view("abc\0", 4), 'x', '\0'));
}

}  // namespace
}  // namespace asioserve::http
