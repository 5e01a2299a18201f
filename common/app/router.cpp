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

bool MethodSet::has_name(std::string_view method) const noexcept {
    return std::find(names_.begin(), names_.end(), method) != names_.end();
}

void Router::add(std::string path, const std::vector<std::string>& methods) {
    const auto number = static_cast<std::uint32_t>(routes_.size());
    routes_.push_back(std::make_unique<Entry>(Entry{Pattern(std::move(path)), {}}));
    Entry& entry = *routes_.back();
    for (const std::string& m : methods) entry.methods.add(m);
    most_captures_ = std::max(most_captures_, entry.pattern.names().size());
    std::vector<std::string_view> captures(most_captures_);
    if (entry.pattern.is_static()) {
        const std::string_view text = entry.pattern.text();
        Numbers& numbers = static_[text];
        if (numbers.empty())
            each_candidate(text, [&](std::uint32_t earlier) {
                if (matches(earlier, text, captures)) numbers.push_back(earlier);
                return false;
            });
        numbers.push_back(number);
        return;
    }
    if (const std::string_view segment = entry.pattern.first_segment(); !segment.empty())
        by_segment_[segment].push_back(number);
    else
        any_segment_.push_back(number);
    for (PathTable::Entry& fixed : static_.entries())
        if (matches(number, fixed.key, captures)) fixed.numbers.push_back(number);
}

template <class Visit>
[[gnu::noinline]] void Router::each_candidate(std::string_view path, Visit visit) const {
    static const Numbers none;
    const Numbers* in_segment = nullptr;
    if (path.size() > 1)
        in_segment = by_segment_.find(path.substr(1, std::min(path.find('/', 1), path.size()) - 1));
    const Numbers& a = in_segment == nullptr ? none : *in_segment;
    const Numbers& b = any_segment_;
    // Two ascending lists, merged: each pattern is in one of them.
    for (auto x = a.begin(), y = b.begin(); x != a.end() || y != b.end();) {
        const bool first = y == b.end() || (x != a.end() && *x < *y);
        if (visit(first ? *x++ : *y++)) return;
    }
}

template <class Visit>
void Router::each_match(std::string_view path, std::span<std::string_view> captures, Visit visit) const {
    if (const Numbers* all = static_.find(path)) {
        // Which patterns have this path too has been found out when they were added.
        for (const std::uint32_t number : *all) {
            if (!routes_[number]->pattern.is_static()) matches(number, path, captures);
            if (visit(number)) return;
        }
        return;
    }
    each_candidate(path,
                   [&](std::uint32_t number) { return matches(number, path, captures) && visit(number); });
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
    // Nearly all requests: a path without parameters, whose first route has the method.
    if (const Numbers* all = static_.find(path)) {
        const Entry& first = *routes_[all->front()];
        if (first.pattern.is_static() && first.methods.has(id, method))
            return {Found::What::route, all->front()};
    }
    return find_any(id, method, path, captures);
}

Found Router::find_any(Method id, std::string_view method, std::string_view path,
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
