#include "common/http/request_parser.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/http/tokens.hpp"

namespace asioserve::http {
namespace {

// One text for all of a head: which of two faults is met first depends on how the bytes came, and the same
// bytes are to get the same answer.
constexpr Refusal bad_head{400, "malformed request"};
constexpr Refusal unknown_coding{501, "transfer codings other than chunked are not supported"};
constexpr Refusal bad_chunk{400, "malformed chunked body"};
constexpr Refusal bad_version{505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
constexpr Refusal unknown_method{501, "unknown method"};

constexpr std::uint32_t crlfcrlf = 0x0d0a0d0a;

/// From llhttp's number; the text is static.
struct KnownMethod {
    std::string_view name;
    Method id = Method::other;
    bool safe = false;
};

constexpr auto methods = [] {
    std::array<KnownMethod, 46> m{};
#define ASIOSERVE_METHOD(number, word, text) m[number].name = #text;
    HTTP_METHOD_MAP(ASIOSERVE_METHOD)
#undef ASIOSERVE_METHOD
    m[HTTP_GET].id = Method::get;
    m[HTTP_HEAD].id = Method::head;
    m[HTTP_POST].id = Method::post;
    m[HTTP_PUT].id = Method::put;
    m[HTTP_PATCH].id = Method::patch;
    m[HTTP_DELETE].id = Method::del;
    m[HTTP_OPTIONS].id = Method::options;
    m[HTTP_GET].safe = m[HTTP_HEAD].safe = m[HTTP_OPTIONS].safe = m[HTTP_TRACE].safe = true;
    return m;
}();

bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t';
}

}  // namespace

/// What llhttp calls. A callback says no by leaving the reason in refusal_ and returning HPE_USER.
struct RequestParser::Callbacks {
    static RequestParser& self(llhttp_t* p) noexcept { return *static_cast<RequestParser*>(p->data); }

    static int refuse(RequestParser& r, const Refusal& why) noexcept {
        r.refusal_ = why;
        return HPE_USER;
    }

    static int on_url(llhttp_t* p, const char* at, std::size_t n) {
        RequestParser& r = self(p);
        if (r.in_ == In::target) {
            r.lines_->target = {r.lines_->target.data(), r.lines_->target.size() + n};
            return 0;
        }
        r.in_ = In::target;
        r.lines_->target = {at, n};
        return 0;
    }

    static int on_header_field(llhttp_t* p, const char* at, std::size_t n) {
        RequestParser& r = self(p);
        if (p->flags & F_TRAILING) return 0;
        RequestLines& lines = *r.lines_;
        if (r.in_ == In::name) {  // the rest of a name that was split
            lines.last().name = {lines.last().name.data(), lines.last().name.size() + n};
            return 0;
        }
        if (!r.end_of_line(at)) return HPE_USER;
        r.in_ = In::name;
        lines.add({at, n});
        return 0;
    }

    static int on_header_value(llhttp_t* p, const char* at, std::size_t n) {
        RequestParser& r = self(p);
        if (p->flags & F_TRAILING) return 0;
        Header& h = r.lines_->last();
        if (r.in_ == In::value && !h.value.empty()) {
            if (at != h.value.data() + h.value.size()) return refuse(r, bad_head);  // folded
            h.value = {h.value.data(), h.value.size() + n};
            return 0;
        }
        if (h.name.empty()) return refuse(r, bad_head);
        const char* before = at;
        if (n == 0) {
            // llhttp reports an empty value from behind its line end; what is in front is checked with the
            // line end.
            h.value = {h.name.data() + h.name.size() + 1, 0};
        } else {
            while (is_blank(before[-1])) --before;
            if (before[-1] != ':') return refuse(r, bad_head);
            h.value = {at, n};
        }
        r.in_ = In::value;
        return 0;
    }

    static int on_headers_complete(llhttp_t* p) {
        RequestParser& r = self(p);
        p->upgrade = 0;  // RFC 9110 section 7.8: an upgrade that is not wanted is a plain request
        r.body_ = (p->flags & F_CHUNKED) || p->content_length > 0;
        return r.body_ ? HPE_PAUSED : 0;
    }

    static int on_body(llhttp_t* p, const char* at, std::size_t n) {
        if (n == 0) return 0;  // a feed of nothing inside of a body
        self(p).span_ = {at, n};
        return HPE_PAUSED;
    }

    static int on_message_complete(llhttp_t*) { return HPE_PAUSED; }

    static const llhttp_settings_t* settings() noexcept {
        static const llhttp_settings_t table = [] {
            llhttp_settings_t s;
            llhttp_settings_init(&s);
            s.on_url = on_url;
            s.on_header_field = on_header_field;
            s.on_header_value = on_header_value;
            s.on_headers_complete = on_headers_complete;
            s.on_body = on_body;
            s.on_message_complete = on_message_complete;
            return s;
        }();
        return &table;
    }
};

RequestParser::RequestParser(std::size_t head_limit)
    : head_limit_(static_cast<std::uint32_t>(std::min<std::size_t>(head_limit, 1U << 30))) {
    llhttp_init(&llhttp_, HTTP_REQUEST, Callbacks::settings());
    llhttp_.data = this;
}

RequestParser::Event RequestParser::fail(int status, std::string_view reason) noexcept {
    refusal_ = {status, reason};
    refused_ = true;
    return Event::refused;
}

/// Whether a line of a body's framing begins with a blank: a folded trailer, also one that is empty. What
/// came with the feed before is in tail_.
bool RequestParser::is_folded(const char* begin, const char* end) const noexcept {
    char before = static_cast<char>(tail_);
    for (; begin != end; before = *begin++)
        if (before == '\n' && is_blank(*begin)) return true;
    return false;
}

/// The line in front of `next_line` is complete: it must end in CR LF right behind its value (and blanks).
bool RequestParser::end_of_line(const char* next_line) noexcept {
    if (in_ == In::value) return close_field(next_line);
    // The request line: exactly one space on both sides of the target, and nothing behind the version.
    const std::string_view target = lines_->target;
    const char* after = target.data() + target.size();
    if (in_ != In::target || !is_token({target.data() - 2, 1}) || next_line - after != 11 ||
        std::memcmp(after, " HTTP/", 6) != 0 || next_line[-2] != '\r' || next_line[-1] != '\n') {
        refusal_ = bad_head;
        return false;
    }
    return true;
}

/// A header field is complete: trims and checks it, and notes what matters to the connection.
bool RequestParser::close_field(const char* next_line) noexcept {
    Header& h = lines_->last();
    const char* end = h.value.data() + h.value.size();
    if (next_line[-1] != '\n' || next_line[-2] != '\r') {
        refusal_ = bad_head;
        return false;
    }
    for (; end != next_line - 2; ++end) {
        if (is_blank(*end)) continue;
        refusal_ = bad_head;
        return false;
    }
    if (h.value.empty()) h.value = {next_line - 2, 0};  // NOLINT(bugprone-string-constructor): a place
    while (!h.value.empty() && is_blank(h.value.back())) h.value.remove_suffix(1);
    // In place: the bytes are ours, and nobody looks at the request's own spelling again.
    lower_case(const_cast<char*>(h.name.data()), h.name.size());

    switch (h.name.size()) {
        case 4:
            if (h.name == "host") {
                if (has_host_ || !is_host(h.value)) {
                    refusal_ = bad_head;
                    return false;
                }
                has_host_ = true;
            }
            break;
        case 6:
            if (h.name == "expect" && equals_ignoring_case(h.value, "100-continue"))
                lines_->expects_continue = true;
            break;
        case 17:
            if (h.name == "transfer-encoding") {
                if (has_transfer_encoding_) {
                    refusal_ = bad_head;
                    return false;
                }
                // Said at the end of the head: what else is wrong with it comes first, however it is split.
                unknown_coding_ = !equals_ignoring_case(h.value, "chunked");
                has_transfer_encoding_ = true;
            }
            break;
        default:
            break;
    }
    return true;
}

/// The head ends at `end`: everything that needs all of it.
bool RequestParser::check_head(const char* end) noexcept {
    if (end[-1] != '\n' || end[-2] != '\r' || !end_of_line(end - 2)) {
        refusal_ = refusal_.reason.empty() ? bad_head : refusal_;
        return false;
    }
    RequestLines& lines = *lines_;
    if (llhttp_.http_major != 1) {
        refusal_ = bad_version;
        return false;
    }
    const KnownMethod& method = methods[llhttp_.method];
    lines.method = method.name;
    lines.method_id = method.id;
    lines.safe = method.safe;
    lines.version_minor = llhttp_.http_minor;
    if (llhttp_.http_minor == 1) {
        lines.keep_alive = !(llhttp_.flags & F_CONNECTION_CLOSE);
        if (!has_host_) {
            refusal_ = bad_head;
            return false;
        }
    } else {
        lines.keep_alive = (llhttp_.flags & F_CONNECTION_KEEP_ALIVE) && !(llhttp_.flags & F_CONNECTION_CLOSE);
        lines.expects_continue = false;  // RFC 9110 section 10.1.1
        if (has_transfer_encoding_) {
            refusal_ = bad_head;
            return false;
        }
    }
    if (unknown_coding_) {
        refusal_ = unknown_coding;
        return false;
    }
    lines.content_length =
        (llhttp_.flags & F_CHUNKED) ? -1 : static_cast<std::int64_t>(llhttp_.content_length);
    if (!body_) lines.expects_continue = false;
    return set_target();
}

/// RFC 9112 section 3.2: origin form, absolute form, or "*" of OPTIONS.
bool RequestParser::set_target() noexcept {
    RequestLines& lines = *lines_;
    std::string_view rest = lines.target;
    if (llhttp_.method == HTTP_CONNECT) {
        refusal_ = {501, "CONNECT is not supported"};
        return false;
    }
    if (rest.front() != '/') {
        if (rest == "*" && lines.method_id == Method::options) {
            lines.path = rest;
            return true;
        }
        const std::size_t scheme = rest.starts_with("http://") ? 7 : rest.starts_with("https://") ? 8 : 0;
        const std::size_t slash = scheme == 0 ? 0 : std::min(rest.find_first_of("/?", scheme), rest.size());
        if (slash <= scheme || !is_host(rest.substr(scheme, slash - scheme))) {
            refusal_ = bad_head;
            return false;
        }
        rest.remove_prefix(slash);
    }
    if (!has_any(rest, '#', '?')) [[likely]] {
        lines.path = rest;
        lines.query = {};
    } else if (std::memchr(rest.data(), '#', rest.size()) != nullptr) {
        refusal_ = bad_head;
        return false;
    } else {
        const std::size_t mark = rest.find('?');
        lines.path = rest.substr(0, mark);
        lines.query = rest.substr(mark + 1);
    }
    if (lines.path.empty()) lines.path = "/";  // http://host?query
    return true;
}

/// Keeps the last four bytes of a body's framing, as the next ones may come in another buffer.
void RequestParser::remember_tail(const char* begin, const char* end) noexcept {
    if (end - begin > 4) begin = end - 4;
    for (; begin != end; ++begin) tail_ = (tail_ << 8) | static_cast<unsigned char>(*begin);
}

/// Says which part it is that is too large, the same however the bytes were split.
RequestParser::Event RequestParser::too_large(const char* at) noexcept {
    if (in_ == In::start) return fail(bad_head.status, bad_head.reason);
    const char* const line_end = lines_->target.data() + lines_->target.size();
    const auto line_bytes = static_cast<std::size_t>(line_end - (at - head_bytes_));
    return line_bytes > head_limit_ ? fail(414, "the request line is too long")
                                    : fail(431, "the headers are too large");
}

RequestParser::Event RequestParser::feed(char*& at, char* end, RequestLines& lines) {
    if (refused_) return Event::refused;
    lines_ = &lines;
    if (llhttp_.error == HPE_PAUSED) llhttp_resume(&llhttp_);
    const char* const begin = at;
    if (!begun_) {
        begun_ = true;
        in_ = In::start;
        has_host_ = has_transfer_encoding_ = unknown_coding_ = false;
        head_bytes_ = 0;
    }
    const bool was_body = body_;
    const llhttp_errno_t error = llhttp_execute(&llhttp_, begin, static_cast<std::size_t>(end - begin));
    at = error == HPE_OK ? end : const_cast<char*>(llhttp_get_error_pos(&llhttp_));
    if (!was_body) {
        head_bytes_ = static_cast<std::uint32_t>(
            std::min<std::size_t>(head_bytes_ + static_cast<std::size_t>(at - begin), 1U << 30));
        if (head_bytes_ > head_limit_) return too_large(at);
        if (error != HPE_PAUSED) return error == HPE_OK ? Event::more : translate(error, at, end);
        if (!check_head(at)) return fail(refusal_.status, refusal_.reason);
        around_body_ = body_bytes_ = 0;
        tail_ = 0;
        if (body_) return Event::head;
        begun_ = false;
        return Event::request;
    }
    if (error != HPE_OK && error != HPE_PAUSED) return translate(error, at, end);
    const bool chunked = llhttp_.flags & F_CHUNKED;
    if (chunked) {
        if (is_folded(begin, span_.empty() ? at : span_.data()))
            return fail(bad_chunk.status, bad_chunk.reason);
        remember_tail(begin, at);
        around_body_ += static_cast<std::uint64_t>(at - begin) - span_.size();
        // Chunk extensions, leading zeros and trailers: free for a peer to send, so bounded. A body of
        // one-byte chunks has 5 bytes around each.
        if (around_body_ > head_limit_ + 8 * body_bytes_)
            return llhttp_.flags & F_TRAILING ? fail(431, "the trailers are too large")
                                              : fail(bad_chunk.status, bad_chunk.reason);
        body_bytes_ += span_.size();
    }
    if (!span_.empty()) {
        last_ = span_;
        span_ = {};
        return Event::body;
    }
    if (error == HPE_OK) return Event::more;
    // Paused, and not for content: the message is complete.
    if (chunked && tail_ != crlfcrlf) return fail(bad_chunk.status, bad_chunk.reason);
    body_ = begun_ = false;
    return Event::end;
}

/// What llhttp refuses, in our words.
RequestParser::Event RequestParser::translate(llhttp_errno_t error, const char* at,
                                              const char* end) noexcept {
    refused_ = true;
    if (error == HPE_USER) return Event::refused;  // the callback has said why
    const bool in_body = body_;
    switch (error) {
        case HPE_INVALID_VERSION:
            // llhttp says the same of a version that is fine, with something else than CR LF behind it.
            refusal_ =
                std::string_view(llhttp_.reason) == "Expected CRLF after version" ? bad_head : bad_version;
            break;
        case HPE_PAUSED_H2_UPGRADE:
            refusal_ = bad_version;
            break;
        case HPE_INVALID_METHOD: {
            // llhttp knows a list. What could still become another token is a method that we do not have;
            // looking further would make the answer depend on how the bytes were split.
            const bool token = at != end && is_token(std::string_view(at, 1));
            refusal_ = token ? unknown_method : bad_head;
            break;
        }
        default:
            refusal_ = in_body ? bad_chunk : bad_head;
    }
    return Event::refused;
}

void RequestParser::relocate(std::ptrdiff_t distance, RequestLines& lines) noexcept {
    // llhttp keeps no pointer between two calls: a span that goes on is reported in pieces.
    lines.relocate(distance);
}

}  // namespace asioserve::http
