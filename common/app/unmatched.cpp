#include "common/app/unmatched.hpp"

#include <vector>

#include "common/app/percent.hpp"

namespace asioserve::app {

namespace {

constexpr std::string_view json_type = "application/json";

std::string decoded(const RequestHead& head) {
    return percent_decode(head.path);
}

Found find(const Plan& plan, const RequestHead& head, std::string_view path,
           std::span<std::string_view> captures) {
    return plan.router.find(head.method_id, head.method, path, captures);
}

bool ends_with_slash(std::string_view encoded) noexcept {
    return encoded.ends_with('/') || encoded.ends_with("%2F") || encoded.ends_with("%2f");
}

// The path, still encoded, in its other spelling.
std::string other_spelling(std::string_view encoded) {
    if (!ends_with_slash(encoded)) return std::string(encoded) + '/';
    while (ends_with_slash(encoded)) encoded.remove_suffix(encoded.ends_with('/') ? 1 : 3);
    return std::string(encoded);
}

// What no header may have in it, quoted; the rest of a target is passed on as it came.
std::string quoted(std::string_view text) {
    constexpr char hex[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto u = static_cast<unsigned char>(c);
        if (u <= 0x20 || u >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\') {
            out += '%';
            out += hex[u >> 4];
            out += hex[u & 15];
        } else {
            out += c;
        }
    }
    return out;
}

// The captures point into what dies here: they are taken anew when they are needed.
[[gnu::noinline]] Found find_decoded(const Plan& plan, const RequestHead& head) {
    const std::string path = decoded(head);
    std::vector<std::string_view> captures(plan.router.most_captures());
    return find(plan, head, path, captures);
}

[[gnu::noinline]] Verdict verdict_without_route(const Plan& plan, const RequestHead& head, Found found) {
    if (found.what == Found::What::wrong_method)
        return head.method_id == Method::options ? Verdict::options : Verdict::wrong_method;
    if (!plan.redirect_slashes || head.path == "/" || !head.path.starts_with('/')) return Verdict::not_found;
    const std::string other = percent_decode(other_spelling(head.path));
    std::vector<std::string_view> captures(plan.router.most_captures());
    return !other.empty() && find(plan, head, other, captures).what != Found::What::nothing
               ? Verdict::redirect
               : Verdict::not_found;
}

}  // namespace

void match(const Plan& plan, Exchange& x, Note& note) {
    const RequestHead& head = x.head();
    note.decoded = head.path.find('%') != head.path.npos || plan.router.most_captures() > Plan::most_captures;
    const Found found = note.decoded ? find_decoded(plan, head) : find(plan, head, head.path, note.captures);
    if (found.what == Found::What::route) [[likely]] {
        note.route = &plan.routes[found.route];
        note.verdict = Verdict::route;
    } else {
        note.verdict = verdict_without_route(plan, head, found);
    }
}

std::string allow_of_405(const Plan& plan, const RequestHead& head) {
    const std::string path = decoded(head);
    std::vector<std::string_view> captures(plan.router.most_captures());
    const Found found = find(plan, head, path, captures);
    std::string text;
    if (found.what != Found::What::wrong_method) return text;
    for (const std::string& name : plan.router.methods(found.route).names()) {
        if (!text.empty()) text += ", ";
        text += name;
    }
    return text;
}

std::string allow_of_options(const Plan& plan, const RequestHead& head) {
    return plan.router.allowed(decoded(head));
}

std::string redirect_location(const Exchange& x) {
    const RequestHead& head = x.head();
    std::string_view host = head.header("host");
    // Never relative: "//elsewhere/" would lead away from here.
    if (host.empty()) host = x.endpoints().local;
    std::string url = "http://";
    url += quoted(host);
    url += quoted(other_spelling(head.path));
    if (head.query.empty()) return url;
    url += '?';
    url += quoted(head.query);
    return url;
}

void answer_unmatched(const Plan& plan, Exchange& x, Verdict verdict, AnswerSink answer) {
    const RequestHead& head = x.head();
    switch (verdict) {
        case Verdict::wrong_method: {
            const std::string allow = allow_of_405(plan, head);
            const Header headers[] = {{"allow", allow}};
            return answer(AnswerView{405, json_type, R"({"detail":"Method Not Allowed"})", headers});
        }
        case Verdict::options: {
            const std::string allow = allow_of_options(plan, head);
            const Header headers[] = {{"allow", allow}};
            return answer(AnswerView{200, {}, {}, headers});
        }
        case Verdict::redirect: {
            const std::string location = redirect_location(x);
            const Header headers[] = {{"location", location}};
            return answer(AnswerView{307, {}, {}, headers});
        }
        case Verdict::route:
        case Verdict::not_found:
            break;
    }
    answer(AnswerView{404, json_type, R"({"detail":"Not Found"})", {}});
}

}  // namespace asioserve::app
