// Any bytes, fed whole and in pieces: both ways have to read the same, and never beyond what is there.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "common/http/request_parser.hpp"

namespace {

using asioserve::http::RequestLines;
using asioserve::http::RequestParser;

/// What was read, as text.
std::string read(std::string bytes, std::size_t step) {
    std::string seen;
    RequestParser parser(4096);
    auto lines = std::make_unique<RequestLines>();
    char* at = bytes.data();
    char* const end = at + bytes.size();
    char* piece = at;
    while (at != end) {
        piece = step < static_cast<std::size_t>(end - piece) ? piece + step : end;
        for (;;) {
            const RequestParser::Event e = parser.feed(at, piece, *lines);
            if (e == RequestParser::Event::more) break;
            if (e == RequestParser::Event::refused) {
                // Which of two limits is noticed first may depend on the pieces.
                const int status = parser.refusal().status;
                return seen + "refused " + std::to_string(status == 431 ? 400 : status);
            }
            if (e == RequestParser::Event::body) {
                seen += parser.body();
                continue;
            }
            if (e == RequestParser::Event::end) {
                seen += "\nend\n";
                lines = std::make_unique<RequestLines>();
                continue;
            }
            seen.append(lines->method).append(" ").append(lines->path).append(" ").append(lines->query);
            for (const asioserve::Header& h : lines->fields())
                seen.append("\n").append(h.name).append(": ").append(h.value);
            seen +=
                "\n" + std::to_string(lines->content_length) + (lines->keep_alive ? " keep\n" : " close\n");
            if (e == RequestParser::Event::request) {
                if (!lines->keep_alive) return seen;
                lines = std::make_unique<RequestLines>();
            }
        }
    }
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // The second byte means something to connection_fuzz only: both have the same seeds.
    if (size < 2 || size > 20000) return 0;
    const std::size_t step = 1 + data[0] % 31;
    const std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    if (read(bytes, bytes.size() + 1) != read(bytes, step)) std::abort();
    return 0;
}
