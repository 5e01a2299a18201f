#include "common/app/access_log.hpp"

#include <array>
#include <cstdio>

#include "common/app/logging.hpp"
#include "common/http/answer_text.hpp"

namespace asioserve::app {

std::string access_line(const http::AccessRecord& record) {
    std::string line(record.endpoints.peer);
    line += " - \"";
    if (record.head && !record.head->method.empty()) {
        line += printable(record.head->method);
        line += ' ';
        line += printable(record.head->target);
        line += " HTTP/1.";
        line += std::to_string(int{record.head->version_minor});
    } else {
        line += '-';  // refused before there was a request line to speak of
    }
    line += "\" " + std::to_string(record.status);
    if (const std::string_view reason = http::reason_phrase(record.status); !reason.empty())
        (line += ' ') += reason;
    std::array<char, 64> tail{};
    std::snprintf(tail.data(), tail.size(), " %lluB %.3fms",
                  static_cast<unsigned long long>(record.body_bytes),
                  static_cast<double>(record.duration.count()) / 1e6);
    return line + tail.data();
}

}  // namespace asioserve::app
