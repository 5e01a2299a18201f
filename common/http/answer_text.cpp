#include "common/http/answer_text.hpp"

#include <array>
#include <charconv>
#include <cstring>

#include "common/http/tokens.hpp"

namespace asioserve::http {
namespace {

constexpr std::string_view server_line = "server: asioserve\r\n";
constexpr std::size_t most_fixed = 160;  // a status line, the longest fixed fields, and numbers

char* put(char* to, std::string_view text) noexcept {
    if (text.empty()) return to;
    std::memcpy(to, text.data(), text.size());
    return to + text.size();
}

char* put_number(char* to, std::uint64_t n) noexcept {
    return std::to_chars(to, to + 20, n).ptr;
}

char* put_type(char* to, std::string_view type) noexcept {
    to = put(to, "content-type: ");
    to = put(to, type);
    return put(to, "\r\n");
}

char* put_length(char* to, std::uint64_t length) noexcept {
    to = put(to, "content-length: ");
    to = put_number(to, length);
    return put(to, "\r\n");
}

char* put_end(char* to, AnswerText::Connection connection) noexcept {
    if (connection == AnswerText::Connection::close)
        to = put(to, "connection: close\r\n");
    else if (connection == AnswerText::Connection::keep_alive)
        to = put(to, "connection: keep-alive\r\n");
    return put(to, "\r\n");
}

/// Fields of the app that the connection writes itself, or must not let through.
bool is_ours(std::string_view name) noexcept {
    switch (name.size()) {
        case 10:
            return equals_ignoring_case(name, "connection") || equals_ignoring_case(name, "keep-alive");
        case 14:
            return equals_ignoring_case(name, "content-length");
        case 17:
            return equals_ignoring_case(name, "transfer-encoding");
        default:
            return false;
    }
}

bool mentions_close(std::string_view value) noexcept {
    while (!value.empty()) {
        const std::size_t comma = std::min(value.find(','), value.size());
        std::string_view word = value.substr(0, comma);
        while (!word.empty() && (word.front() == ' ' || word.front() == '\t')) word.remove_prefix(1);
        while (!word.empty() && (word.back() == ' ' || word.back() == '\t')) word.remove_suffix(1);
        if (equals_ignoring_case(word, "close")) return true;
        value.remove_prefix(std::min(comma + 1, value.size()));
    }
    return false;
}

}  // namespace

std::string_view reason_phrase(int status) noexcept {
    switch (status) {
        case 100:
            return "Continue";
        case 101:
            return "Switching Protocols";
        case 102:
            return "Processing";
        case 103:
            return "Early Hints";
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 203:
            return "Non-Authoritative Information";
        case 204:
            return "No Content";
        case 205:
            return "Reset Content";
        case 206:
            return "Partial Content";
        case 207:
            return "Multi-Status";
        case 208:
            return "Already Reported";
        case 226:
            return "IM Used";
        case 300:
            return "Multiple Choices";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 305:
            return "Use Proxy";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 402:
            return "Payment Required";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 407:
            return "Proxy Authentication Required";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 411:
            return "Length Required";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 416:
            return "Range Not Satisfiable";
        case 417:
            return "Expectation Failed";
        case 418:
            return "I'm a Teapot";
        case 421:
            return "Misdirected Request";
        case 422:
            return "Unprocessable Content";
        case 423:
            return "Locked";
        case 424:
            return "Failed Dependency";
        case 425:
            return "Too Early";
        case 426:
            return "Upgrade Required";
        case 428:
            return "Precondition Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 451:
            return "Unavailable For Legal Reasons";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        case 506:
            return "Variant Also Negotiates";
        case 507:
            return "Insufficient Storage";
        case 508:
            return "Loop Detected";
        case 511:
            return "Network Authentication Required";
        default:
            return {};
    }
}

std::string http_date(std::time_t at) {
    // Not strftime, whose names of days depend on the locale that the app may have set.
    static constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm t{};
    ::gmtime_r(&at, &t);
    char text[64];
    const int n = std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                                days[static_cast<std::size_t>(t.tm_wday)], t.tm_mday,
                                months[static_cast<std::size_t>(t.tm_mon)], t.tm_year + 1900, t.tm_hour,
                                t.tm_min, t.tm_sec);
    return {text, static_cast<std::size_t>(n)};
}

AnswerText::AnswerText(bool date_header, bool server_header,
                       const std::vector<std::pair<std::string, std::string>>& headers)
    : date_header_(date_header &&
                   [&] {
                       for (const auto& h : headers)
                           if (equals_ignoring_case(h.first, "date")) return false;
                       return true;
                   }()),
      server_header_(server_header && [&] {
          for (const auto& h : headers)
              if (equals_ignoring_case(h.first, "server")) return false;
          return true;
      }()) {
    for (const auto& [name, value] : headers) extra_.append(name).append(": ").append(value).append("\r\n");
    compose(std::time(nullptr));
}

void AnswerText::compose(std::time_t now) {
    at_ = now;
    date_.clear();
    if (date_header_) date_.append("date: ").append(http_date(now)).append("\r\n");
    common_ = date_;
    if (server_header_) common_.append(server_line);
    common_.append(extra_);
    ok_ = "HTTP/1.1 200 OK\r\n" + common_;
}

HeaderNotes AnswerText::look_at(std::span<const Header> headers) noexcept {
    HeaderNotes notes;
    for (const Header& h : headers) {
        notes.bytes += h.name.size() + h.value.size() + 4;
        switch (h.name.size()) {
            case 4:
                notes.date |= equals_ignoring_case(h.name, "date");
                break;
            case 6:
                notes.server |= equals_ignoring_case(h.name, "server");
                break;
            case 10:
                if (equals_ignoring_case(h.name, "connection")) notes.close |= mentions_close(h.value);
                break;
            case 12:
                notes.content_type |= equals_ignoring_case(h.name, "content-type");
                break;
            case 14:
                if (equals_ignoring_case(h.name, "content-length")) notes.content_length = &h;
                break;
            default:
                break;
        }
    }
    return notes;
}

void AnswerText::write(OutBuffer& out, BlockPool& pool, const Head& head, const HeaderNotes& notes,
                       std::string_view body) {
    const std::size_t room = ok_.size() + most_fixed + head.content_type.size() + notes.bytes +
                             head.told_length.size() + body.size();
    char* const begin = out.reserve(pool, room);
    char* to = begin;
    const bool usual = !notes.date && !notes.server;
    if (head.status == 200 && usual) {
        to = put(to, ok_);
    } else {
        to = put(to, "HTTP/1.1 ");
        to = put_number(to, static_cast<std::uint64_t>(head.status));
        *to++ = ' ';
        to = put(to, reason_phrase(head.status));
        to = put(to, "\r\n");
        if (usual) {
            to = put(to, common_);
        } else {
            if (!notes.date) to = put(to, date_);
            if (!notes.server && server_header_) to = put(to, server_line);
            to = put(to, extra_);
        }
    }
    if (!head.content_type.empty() && !notes.content_type) to = put_type(to, head.content_type);
    for (const Header& h : head.headers) {
        if (is_ours(h.name)) continue;
        to = put(to, h.name);
        to = put(to, ": ");
        to = put(to, h.value);
        to = put(to, "\r\n");
    }
    if (!head.told_length.empty()) {
        to = put(to, "content-length: ");
        to = put(to, head.told_length);
        to = put(to, "\r\n");
    } else if (head.framing == Framing::length) {
        to = put_length(to, head.length);
    } else if (head.framing == Framing::chunked) {
        to = put(to, "transfer-encoding: chunked\r\n");
    }
    to = put_end(to, head.connection);
    to = put(to, body);
    out.commit(static_cast<std::size_t>(to - begin));
}

void AnswerText::write_ok(OutBuffer& out, BlockPool& pool, std::string_view content_type,
                          Connection connection, std::string_view body) {
    char* const begin = out.reserve(pool, ok_.size() + most_fixed + content_type.size() + body.size());
    char* to = put(begin, ok_);
    if (!content_type.empty()) to = put_type(to, content_type);
    to = put_length(to, body.size());
    to = put_end(to, connection);
    to = put(to, body);
    out.commit(static_cast<std::size_t>(to - begin));
}

}  // namespace asioserve::http
