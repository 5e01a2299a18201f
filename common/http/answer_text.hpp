// Writes the heads of answers. What is the same for all of them is composed once a second.
//
// Threads: I/O thread.
#pragma once

#include <cstdint>
#include <ctime>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/http/out_buffer.hpp"
#include "common/runner/exchange.hpp"

namespace asioserve::http {

/// "Not Found" for 404; empty for a status without a common phrase.
std::string_view reason_phrase(int status) noexcept;

/// The date of RFC 9110 section 5.6.7, e.g. "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::time_t at);

/// What the app's own header fields say about what the connection does itself.
struct HeaderNotes {
    std::size_t bytes = 0;  ///< an upper bound of their length on the wire
    /// It has a `date`.
    bool date = false;
    /// It has a `server`.
    bool server = false;
    /// It has a `content-type`.
    bool content_type = false;
    bool close = false;                      ///< `connection: close`
    const Header* content_length = nullptr;  ///< only told to HEAD and 304; else ours is true
};

class AnswerText {
  public:
    /// Prepares what is the same in every answer.
    AnswerText(bool date_header, bool server_header,
               const std::vector<std::pair<std::string, std::string>>& headers);

    /// How a body is framed.
    enum class Framing : std::uint8_t {
        none,        ///< no body and no length: 204, 304
        length,      ///< content-length
        chunked,     ///< transfer-encoding: chunked
        until_close  ///< HTTP/1.0 without a length
    };
    /// What the field `connection` says, if anything.
    enum class Connection : std::uint8_t { silent, close, keep_alive };

    /// What a head is made from.
    struct Head {
        /// As in the status line.
        int status = 200;
        /// Empty: no such field.
        std::string_view content_type = {};
        /// Further fields.
        std::span<const Header> headers = {};
        /// How the body's end is told.
        Framing framing = Framing::length;
        /// Of the body, for Framing::length.
        std::uint64_t length = 0;
        /// Whether the connection ends behind it.
        Connection connection = Connection::silent;
        std::string_view told_length = {};  ///< instead of `length`, where the app knows better (HEAD)
    };

    /// Which of the connection's own fields are there already.
    static HeaderNotes look_at(std::span<const Header> headers) noexcept;

    /// Appends the head, and `body` behind it.
    void write(OutBuffer& out, BlockPool& pool, const Head& head, const HeaderNotes& notes,
               std::string_view body);

    /// The same for what nearly all answers are: a 200 with a type (or none) and a whole body.
    void write_ok(OutBuffer& out, BlockPool& pool, std::string_view content_type, Connection connection,
                  std::string_view body);

    /// To be called when time has passed; costs a clock read, and the text once a second.
    void update(std::time_t now) {
        if (now != at_) compose(now);
    }

  private:
    void compose(std::time_t now);

    const bool date_header_;
    const bool server_header_;
    std::string extra_;   ///< the fields of the options
    std::string date_;    ///< "date: …\r\n"
    std::string common_;  ///< date, server and extra
    std::string ok_;      ///< the same behind "HTTP/1.1 200 OK"
    std::time_t at_ = -1;
};

}  // namespace asioserve::http
