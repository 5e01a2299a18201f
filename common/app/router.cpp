#include "common/app/router.hpp"

#include <algorithm>
#include <utility>

namespace asioserve::app {

Method MethodSet::id_of(std::string_view method) noexcept {
    if (method == "GET") return Method::get;
    if (method == "HEAD") return Method::head;
    if (method == "POST") return Method::post;
    if (method == "PUT") return Method::put;
    if (method == "PATCH") return Method::patch;
    if (method == "DELETE") return Method::del;
    if (method == "OPTIONS") return Method::options;
    return Method::other;
}

void MethodSet::add(std::string_view method) {
    if (std::find(names_.begin(), names_.end(), method) != names_.end()) return;
    names_.emplace_back(method);
    if (const Method id = id_of(method); id != Method::other) known_ |= 1u << static_cast<unsigned>(id);
}

bool MethodSet::has(Method id, std::string_view method) const noexcept {
    if (id != Method::other) return (known_ >> static_cast<unsigned>(id) & 1u) != 0;
    return std::find(names_.begin(), names_.end(), method) != names_.end();
}

void Router::add(std::string path, const std::vector<std::string>& methods) {
    const auto number = static_cast<std::uint32_t>(routes_.size());
    routes_.push_back(std::make_unique<Entry>(Entry{Pattern(std::move(path)), {}}));
    Entry& entry = *routes_.back();
    for (const std::string& m : methods) entry.methods.add(m);
    most_captures_ = std::max(most_captures_, entry.pattern.names().size());
    if (entry.pattern.is_static())
        static_[entry.pattern.text()].push_back(number);
    else if (const std::string_view segment = entry.pattern.first_segment(); !segment.empty())
        by_segment_[segment].push_back(number);
    else
        any_segment_.push_back(number);
}

template <class Visit>
void Router::each_match(std::string_view path, std::span<std::string_view> captures, Visit visit) const {
    static const Numbers none;
    const auto fixed = static_.find(path);
    const Numbers& a = fixed == static_.end() ? none : fixed->second;
    const Numbers* patterns = &none;
    if (!by_segment_.empty() && path.size() > 1) {
        const auto bucket = by_segment_.find(path.substr(1, std::min(path.find('/', 1), path.size()) - 1));
        if (bucket != by_segment_.end()) patterns = &bucket->second;
    }
    const Numbers& b = *patterns;
    const Numbers& c = any_segment_;
    static constexpr std::uint32_t end = ~0u;
    const auto at = [](const Numbers& n, std::size_t i) { return i < n.size() ? n[i] : end; };
    // Three ascending lists, merged: each route is in one of them.
    for (std::size_t i = 0, j = 0, k = 0;;) {
        const std::uint32_t x = at(a, i);
        const std::uint32_t y = at(b, j);
        const std::uint32_t z = at(c, k);
        const std::uint32_t first = std::min({x, y, z});
        if (first == end) return;
        if (first == x) {
            ++i;
        } else {
            first == y ? ++j : ++k;
            if (!routes_[first]->pattern.match(path, captures)) continue;
        }
        if (visit(first)) return;
    }
}

Found Router::find_exact(Method id, std::string_view method, std::string_view path,
                         std::span<std::string_view> captures) const noexcept {
    Found found;
    each_match(path, captures, [&](std::uint32_t number) {
        if (routes_[number]->methods.has(id, method)) {
            found = {Found::What::route, number};
            return true;
        }
        if (found.what == Found::What::nothing) found = {Found::What::wrong_method, number};
        return false;
    });
    return found;
}

Found Router::find(Method id, std::string_view method, std::string_view path,
                   std::span<std::string_view> captures) const noexcept {
    Found found = find_exact(id, method, path, captures);
    if (found.what == Found::What::wrong_method && id == Method::head)
        found = find_exact(Method::get, "GET", path, captures);
    return found;
}

std::string Router::allowed(std::string_view path) const {
    std::vector<std::string_view> captures(most_captures_);
    std::vector<std::string_view> names;
    const auto add = [&](std::string_view name) {
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    };
    each_match(path, captures, [&](std::uint32_t number) {
        for (const std::string& name : routes_[number]->methods.names()) {
            add(name);
            if (name == "GET") add("HEAD");
        }
        return false;
    });
    if (names.empty()) return {};
    add("OPTIONS");
    std::string text;
    for (const std::string_view name : names) {
        if (!text.empty()) text += ", ";
        text += name;
    }
    return text;
}

}  // namespace asioserve::app
