// One route's path template: what it matches and what it takes from the path.
//
// Threads: constant after construction. No Python.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asioserve::app {

/// "/user/{id}", "/files/{name:path}", "{x:int}", "{x:float}", "{x:uuid}": Starlette's templates.
class Pattern {
  public:
    /// Throws std::invalid_argument with a sentence about what is wrong with the template.
    explicit Pattern(std::string path);

    /// Whether there is no parameter in it: then it matches just text().
    bool is_static() const noexcept { return names_.empty(); }
    /// As declared, e.g. "/user/{id}".
    const std::string& text() const noexcept { return text_; }
    /// The parameters in the order of the template.
    const std::vector<std::string>& names() const noexcept { return names_; }
    /// The whole first segment ("user" of "/user/{id}") where no parameter touches it, else empty.
    std::string_view first_segment() const noexcept;

    /// Matches a decoded path; `captures` has room for names().size() views into `path`.
    bool match(std::string_view path, std::span<std::string_view> captures) const noexcept;

  private:
    enum class Convertor : std::uint8_t { str, path, integer, real, uuid };
    struct Token {
        bool parameter;
        Convertor convertor;
        std::string literal;
    };
    static Convertor convertor(std::string_view name, const std::string& path);
    static std::size_t extent(Convertor c, std::string_view text) noexcept;
    static bool accepts(Convertor c, std::string_view text) noexcept;
    bool match_from(std::size_t token, std::string_view rest, std::span<std::string_view> captures,
                    int& budget) const noexcept;

    std::string text_;
    std::vector<std::string> names_;
    std::vector<Token> tokens_;
};

}  // namespace asioserve::app
