// From a method and a path to a route: the first declared wins, as in Starlette.
//
// Threads: add() and freeze() before serving; find() on any thread afterwards, without locks. No Python.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/app/path_table.hpp"
#include "common/app/pattern.hpp"
#include "common/runner/exchange.hpp"

namespace asioserve::app {

/// The methods of a route.
class MethodSet {
  public:
    /// Adds a method in upper case.
    void add(std::string_view method);
    /// Whether it is among them.
    bool has(Method id, std::string_view method) const noexcept {
        return id != Method::other ? (known_ >> static_cast<unsigned>(id) & 1u) != 0 : has_name(method);
    }
    /// In the order of add().
    const std::vector<std::string>& names() const noexcept { return names_; }

    /// Tells a method's text apart.
    static Method id_of(std::string_view method) noexcept;

  private:
    bool has_name(std::string_view method) const noexcept;

    std::uint32_t known_ = 0;  // a bit per Method
    std::vector<std::string> names_;
};

/// What Router::find() came to.
struct Found {
    /// How the look-up ended.
    enum class What : std::uint8_t {
        route,         ///< `route` answers
        wrong_method,  ///< `route` is the first that has the path, but not the method
        nothing,
    };
    /// How it ended.
    What what = What::nothing;
    /// Its number, as add() gave it.
    std::uint32_t route = 0;
};

class Router {
  public:
    /// Adds a route; its number is the count of those before. Throws std::invalid_argument as Pattern does.
    void add(std::string path, const std::vector<std::string>& methods);

    /// The route for a decoded path. A GET route answers HEAD where no route asks for HEAD itself. `captures`
    /// has room for most_captures() views, which point into `path`.
    Found find(Method id, std::string_view method, std::string_view path,
               std::span<std::string_view> captures) const noexcept;

    /// The methods that a path knows, for Allow: of all its routes, with HEAD where there is GET, and
    /// OPTIONS. Empty where no route has the path.
    std::string allowed(std::string_view path) const;

    /// The template of a route.
    const Pattern& pattern(std::uint32_t route) const noexcept { return routes_[route]->pattern; }
    /// The methods of a route.
    const MethodSet& methods(std::uint32_t route) const noexcept { return routes_[route]->methods; }
    /// The most parameters that one path has.
    std::size_t most_captures() const noexcept { return most_captures_; }
    /// How many routes there are.
    std::size_t size() const noexcept { return routes_.size(); }

  private:
    struct Entry {
        Pattern pattern;
        MethodSet methods;
    };
    using Numbers = PathTable::Numbers;

    // Calls visit(number) for every route that has the path, in the order of declaration, until it says true.
    template <class Visit>
    void each_match(std::string_view path, std::span<std::string_view> captures, Visit visit) const;
    Found find_exact(Method id, std::string_view method, std::string_view path,
                     std::span<std::string_view> captures) const noexcept;

    Found find_any(Method id, std::string_view method, std::string_view path,
                   std::span<std::string_view> captures) const noexcept;
    // The routes with a pattern that may have the path: those of its first segment, and those of any.
    template <class Visit>
    void each_candidate(std::string_view path, Visit visit) const;
    bool matches(std::uint32_t number, std::string_view path,
                 std::span<std::string_view> captures) const noexcept {
        return routes_[number]->pattern.match(path, captures);
    }

    // unique_ptr: the keys of the tables point into the patterns' text.
    std::vector<std::unique_ptr<Entry>> routes_;
    PathTable static_;      // by whole path: all routes that have it, patterns too
    PathTable by_segment_;  // patterns by their first segment
    Numbers any_segment_;   // patterns whose first segment is not fixed
    std::size_t most_captures_ = 0;
};

}  // namespace asioserve::app
