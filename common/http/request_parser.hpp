// Bytes to requests: llhttp, and the checks that it leaves to its user even in strict mode.
//
// What is refused here, because an intermediary could read it as another request: folded header lines, a bare
// CR or LF, a missing or second Host, both lengths, a malformed or repeated length, any transfer coding but
// one `chunked`, an empty header name, spaces where none belong. Threads: I/O thread.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/http/request_lines.hpp"
#include "common/runner/exchange.hpp"

namespace asioserve::http {

/// Why a request is not served: the status, and a sentence for the client.
struct Refusal {
    /// What the peer is told.
    int status = 400;
    /// Why, in a few words. Constant text.
    std::string_view reason;
};

class RequestParser {
  public:
    /// What was found in the bytes.
    enum class Event : std::uint8_t {
        more,     ///< all bytes are used up
        request,  ///< a request without a body
        head,     ///< a request whose body follows
        body,     ///< body() has some of it
        end,      ///< the body is complete
        refused,  ///< refusal() says why; nothing more can be read
    };

    /// `head_limit`: bytes of request line and headers together.
    explicit RequestParser(std::size_t head_limit);

    /// Reads on in [at, end), which is writable: header names are put into lower case where they are. `at`
    /// moves behind what was used. Until a head is complete, its bytes have to stay where they are, or see
    /// relocate().
    Event feed(char*& at, char* end, RequestLines& lines);

    /// The bytes of an unfinished head are now elsewhere.
    void relocate(std::ptrdiff_t distance, RequestLines& lines) noexcept;
    /// Whether some of a head has been read.
    bool inside_head() const noexcept { return begun_ && !body_ && !refused_; }
    /// Bytes of the head so far, from the first one on.
    std::size_t head_bytes() const noexcept { return head_bytes_; }

    /// The piece of the body that the last event was about.
    std::string_view body() const noexcept { return last_; }
    /// Why, once a request is refused.
    const Refusal& refusal() const noexcept { return refusal_; }

  private:
    struct Callbacks;
    Event fail(int status, std::string_view reason) noexcept;
    Event translate(llhttp_errno_t error, const char* at, const char* end) noexcept;
    Event too_large(const char* at) noexcept;
    bool is_folded(const char* begin, const char* end) const noexcept;
    bool end_of_line(const char* next_line) noexcept;
    bool close_field(const char* next_line) noexcept;
    bool check_head(const char* end) noexcept;
    bool set_target() noexcept;
    void remember_tail(const char* begin, const char* end) noexcept;

    llhttp_t llhttp_;
    RequestLines* lines_ = nullptr;  ///< during feed()
    std::string_view span_;          ///< reported by llhttp in this feed()
    std::string_view last_;
    Refusal refusal_;
    const std::uint32_t head_limit_;
    std::uint32_t head_bytes_ = 0;
    std::uint64_t around_body_ = 0;  ///< bytes of a chunked body that are none of its content
    std::uint64_t body_bytes_ = 0;
    std::uint32_t tail_ = 0;  ///< the last four bytes
    enum class In : std::uint8_t { start, target, name, value } in_ = In::start;
    bool begun_ = false;
    bool body_ = false;  ///< the head is complete, its body is not
    bool refused_ = false;
    bool has_host_ = false;
    bool has_transfer_encoding_ = false;
    bool unknown_coding_ = false;  ///< besides chunked, which llhttp has seen to
};

}  // namespace asioserve::http
