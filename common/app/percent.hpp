// Percent-encoding, queries and cookies, as Python's urllib and Starlette read them.
//
// Threads: pure functions. No Python.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace asioserve::app {

/// Decodes %XX; a '%' that is not followed by two hex digits stays as it is. The result is bytes: whoever
/// makes text of them replaces what is not UTF-8.
std::string percent_decode(std::string_view text);
/// The same for a query: '+' is a space.
std::string query_decode(std::string_view text);

/// The pairs of a query in order, still encoded; empty pairs ("a=1&&b=2") are left out, "a" alone has an
/// empty value.
class QueryPairs {
  public:
    /// `query` outlives it.
    explicit QueryPairs(std::string_view query) noexcept : rest_(query) {}
    /// The next pair, or nothing.
    std::optional<std::pair<std::string_view, std::string_view>> next() noexcept;

  private:
    std::string_view rest_;
};

/// Whether the encoded name stands for `wanted`.
bool query_name_is(std::string_view encoded, std::string_view wanted);

/// The value of the last cookie of that name in a Cookie field, with quotes and escapes undone; as
/// Starlette's cookie_parser, which reads what browsers send rather than what RFC 6265 says.
std::optional<std::string> find_cookie(std::string_view field, std::string_view name);

/// Latin-1 bytes as UTF-8: what a field value is as text.
std::string latin1_to_utf8(std::string_view bytes);

/// Whether a Content-Type announces JSON, as FastAPI sees it: application/json or application/…+json.
bool is_json_content_type(std::string_view value);

/// Whether a JSON text may have an integer in it that does not fit 64 bits: then fast parsers make a float of
/// it.
bool has_long_number(std::string_view json) noexcept;

}  // namespace asioserve::app
