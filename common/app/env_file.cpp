#include "common/app/env_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace asioserve::app {

namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;
using LookUp = std::function<std::optional<std::string>(const std::string&)>;

bool in_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

class EnvParser {
  public:
    EnvParser(std::string_view text, const std::string& file, const LookUp& look_up)
        : text_(text), file_(file), look_up_(look_up) {}

    Variables run() {
        if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
        for (;;) {
            skip([](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
            if (end()) return std::move(found_);
            if (text_[at_] == '#')
                skip_line();
            else
                assignment();
        }
    }

  private:
    bool end() const { return at_ >= text_.size(); }

    template <class Predicate>
    void skip(Predicate wanted) {
        while (!end() && wanted(text_[at_])) ++at_;
    }
    void skip_blanks() {
        skip([](char c) { return c == ' ' || c == '\t'; });
    }
    void skip_line() {
        skip([](char c) { return c != '\n'; });
    }

    [[noreturn]] void fail(const std::string& why) const {
        const auto line =
            1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
        throw std::runtime_error(file_ + ":" + std::to_string(line) + ": " + why);
    }

    std::string name() {
        const std::size_t begin = at_;
        skip(in_name);
        return std::string(text_.substr(begin, at_ - begin));
    }

    void assignment() {
        std::string key = name();
        skip_blanks();
        if (key == "export" && !end() && in_name(text_[at_])) {
            key = name();
            skip_blanks();
        }
        if (key.empty() || end() || text_[at_] != '=') fail("expected NAME=value");
        ++at_;
        skip_blanks();
        std::string value;
        const char quote = end() ? '\0' : text_[at_];
        if (quote == '\'' || quote == '"') {
            value = quoted(quote);
            skip_blanks();
            if (!end() && text_[at_] == '#') skip_line();
            if (!end() && text_[at_] == '\r') ++at_;
            if (!end() && text_[at_] != '\n') fail("text behind the closing quote");
        } else {
            value = bare();
        }
        if (value.find('\0') != std::string::npos) fail("a value cannot have a NUL");
        found_.emplace_back(std::move(key), std::move(value));
    }

    std::string bare() {
        std::string value;
        while (!end() && text_[at_] != '\n') {
            const char before = text_[at_ - 1];
            if (text_[at_] == '#' && (before == ' ' || before == '\t')) {
                skip_line();
                break;
            }
            if (text_[at_] == '$')
                variable(value);
            else
                value += text_[at_++];
        }
        value.erase(value.find_last_not_of(" \t\r") + 1);
        return value;
    }

    std::string quoted(char quote) {
        std::string value;
        const std::size_t begin = at_++;
        while (!end() && text_[at_] != quote) {
            if (quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size())
                escape(value);
            else if (quote == '"' && text_[at_] == '$')
                variable(value);
            else
                value += text_[at_++];
        }
        if (end()) {
            at_ = begin;
            fail("a quote is not closed");
        }
        ++at_;
        return value;
    }

    void escape(std::string& value) {
        const char c = text_[at_ + 1];
        at_ += 2;
        switch (c) {
            case 'n':
                value += '\n';
                return;
            case 'r':
                value += '\r';
                return;
            case 't':
                value += '\t';
                return;
            case '\\':
            case '"':
            case '$':
                value += c;
                return;
            default:
                (value += '\\') += c;
        }
    }

    void variable(std::string& value) {
        if (!text_.substr(at_).starts_with("${")) {
            value += text_[at_++];
            return;
        }
        const std::size_t close = text_.find('}', at_);
        if (close == std::string_view::npos ||
            text_.substr(at_, close - at_).find('\n') != std::string_view::npos)
            fail("${ is not closed");
        std::string key(text_.substr(at_ + 2, close - at_ - 2));
        std::string otherwise;
        if (auto dash = key.find(":-"); dash != std::string::npos) {
            otherwise = key.substr(dash + 2);
            key.erase(dash);
        }
        at_ = close + 1;
        value += known(key).value_or(otherwise);
    }

    std::optional<std::string> known(const std::string& key) const {
        // The environment wins, as it will win over the file's own value when that is set.
        if (auto outside = look_up_(key)) return outside;
        auto found =
            std::find_if(found_.rbegin(), found_.rend(), [&](const auto& v) { return v.first == key; });
        if (found == found_.rend()) return std::nullopt;
        return found->second;
    }

    std::string_view text_;
    const std::string& file_;
    const LookUp& look_up_;
    std::size_t at_ = 0;
    Variables found_;
};

}  // namespace

Variables parse_env(std::string_view text, const std::string& name_of_file, const LookUp& look_up) {
    return EnvParser(text, name_of_file, look_up).run();
}

void load_env_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("--env-file: cannot read " + path + ": " + std::strerror(errno));
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const auto variables = parse_env(text, path, [](const std::string& name) -> std::optional<std::string> {
        if (const char* value = std::getenv(name.c_str())) return value;
        return std::nullopt;
    });
    // The last one of a name that is repeated counts; what the environment had before does not change.
    Variables wanted;
    for (const auto& variable : variables)
        if (!std::getenv(variable.first.c_str())) wanted.push_back(variable);
    for (const auto& [name, value] : wanted) ::setenv(name.c_str(), value.c_str(), 1);
}

}  // namespace asioserve::app
