#include "common/app/pattern.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace asioserve::app {

namespace {

// Templates such as "{a}-{b}-{c}" need backtracking, which a long hostile path could make take minutes: after
// so many steps it is no match. No template with one parameter per segment comes near it.
constexpr int most_steps = 100'000;

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

bool is_hex(char c) noexcept {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_uuid(std::string_view text) noexcept {
    std::size_t at = 0;
    bool first = true;
    for (const std::size_t digits : {8u, 4u, 4u, 4u, 12u}) {
        if (!std::exchange(first, false) && at < text.size() && text[at] == '-') ++at;
        for (std::size_t i = 0; i < digits; ++i, ++at)
            if (at >= text.size() || !is_hex(text[at])) return false;
    }
    return at == text.size();
}

}  // namespace

Pattern::Pattern(std::string path) : text_(std::move(path)) {
    if (!text_.starts_with('/')) throw std::invalid_argument("the path of a route starts with '/': " + text_);
    std::string_view rest = text_;
    while (!rest.empty()) {
        const std::size_t open = rest.find('{');
        if (open != 0) tokens_.push_back({false, Convertor::str, std::string(rest.substr(0, open))});
        if (open == rest.npos) break;
        const std::size_t close = rest.find('}', open);
        if (close == rest.npos) throw std::invalid_argument("'{' without '}' in the path " + text_);
        const std::string_view inside = rest.substr(open + 1, close - open - 1);
        const std::size_t colon = std::min(inside.find(':'), inside.size());
        const std::string_view kind = colon == inside.size() ? "str" : inside.substr(colon + 1);
        std::string name(inside.substr(0, colon));
        if (name.empty()) throw std::invalid_argument("a parameter without a name in the path " + text_);
        if (std::find(names_.begin(), names_.end(), name) != names_.end())
            throw std::invalid_argument("the parameter " + name + " is there twice in the path " + text_);
        names_.push_back(std::move(name));
        tokens_.push_back({true, convertor(kind, text_), {}});
        rest.remove_prefix(close + 1);
    }
}

Pattern::Convertor Pattern::convertor(std::string_view name, const std::string& path) {
    if (name == "str") return Convertor::str;
    if (name == "path") return Convertor::path;
    if (name == "int") return Convertor::integer;
    if (name == "float") return Convertor::real;
    if (name == "uuid") return Convertor::uuid;
    throw std::invalid_argument("unknown convertor '" + std::string(name) + "' in the path " + path +
                                "; there are str, path, int, float and uuid");
}

std::string_view Pattern::first_segment() const noexcept {
    const std::string_view literal = is_static() ? std::string_view(text_) : tokens_.front().literal;
    const std::size_t slash = literal.find('/', 1);
    return slash == literal.npos ? std::string_view() : literal.substr(1, slash - 1);
}

bool Pattern::match(std::string_view path, std::span<std::string_view> captures) const noexcept {
    int budget = most_steps;
    return match_from(0, path, captures, budget);
}

bool Pattern::match_from(std::size_t token, std::string_view rest, std::span<std::string_view> captures,
                         int& budget) const noexcept {
    for (; token < tokens_.size() && !tokens_[token].parameter; ++token) {
        if (!rest.starts_with(tokens_[token].literal)) return false;
        rest.remove_prefix(tokens_[token].literal.size());
    }
    if (token == tokens_.size()) return rest.empty();

    const Convertor c = tokens_[token].convertor;
    const std::size_t longest = extent(c, rest);
    const std::size_t shortest = c == Convertor::path ? 0 : 1;
    // Regular expressions are greedy: the longest first. When nothing is left to match, only all of it will
    // do.
    const bool last = token + 1 == tokens_.size();
    if (last && longest != rest.size()) return false;
    for (std::size_t n = longest + 1; n-- > shortest;) {
        if (--budget < 0) return false;
        if (accepts(c, rest.substr(0, n))) {
            captures.front() = rest.substr(0, n);
            if (match_from(token + 1, rest.substr(n), captures.subspan(1), budget)) return true;
        }
        if (last) return false;
        // A parameter that ends with its segment cannot be shorter.
        if (c == Convertor::str && tokens_[token + 1].literal.starts_with('/')) return false;
    }
    return false;
}

std::size_t Pattern::extent(Convertor c, std::string_view text) noexcept {
    const auto until = [&](auto stops) {
        return static_cast<std::size_t>(std::find_if(text.begin(), text.end(), stops) - text.begin());
    };
    switch (c) {
        case Convertor::path:
            return until([](char x) { return x == '\n'; });
        case Convertor::integer:
            return until([](char x) { return !is_digit(x); });
        case Convertor::real:
            return until([](char x) { return !is_digit(x) && x != '.'; });
        case Convertor::uuid:
            return std::min<std::size_t>(36, until([](char x) { return !is_hex(x) && x != '-'; }));
        case Convertor::str:
            break;
    }
    return std::min(text.find('/'), text.size());
}

bool Pattern::accepts(Convertor c, std::string_view text) noexcept {
    if (c == Convertor::uuid) return is_uuid(text);
    if (c != Convertor::real) return true;
    const std::size_t dot = text.find('.');
    if (dot == text.npos) return true;
    return dot != 0 && dot + 1 != text.size() && text.find('.', dot + 1) == text.npos;
}

}  // namespace asioserve::app
