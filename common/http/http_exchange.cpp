#include "common/http/http_exchange.hpp"

#include <charconv>

#include "common/http/connection.hpp"
#include "common/http/core.hpp"

namespace asioserve::http {
namespace {

// From this size on a body is sent from where it is, without a copy of it and without waiting for the turn's
// end.
constexpr std::size_t direct_bytes = 32 * 1024;

/// Answers that never have a body, nor a length (RFC 9110 section 8.6).
bool is_bodiless(int status) noexcept {
    return status == 204 || status == 304 || status < 200;
}

}  // namespace

HttpExchange::~HttpExchange() {
    if (ends_ && --ends_->references == 0) delete ends_;
}

void HttpExchange::join(Connection& connection, Ends& ends, std::uint64_t id) noexcept {
    connection_ = &connection;
    ends_ = &ends;
    ++ends.references;
    id_ = id;
}

void HttpExchange::publish_head(const BlockRef& block) noexcept {
    block_ = block;
    head_.method = lines_.method;
    head_.target = lines_.target;
    head_.path = lines_.path;
    head_.query = lines_.query;
    head_.headers = lines_.fields();
    head_.content_length = lines_.content_length;
    head_.method_id = lines_.method_id;
    head_.version_minor = lines_.version_minor;
    continue_due_ = lines_.expects_continue;
}

bool HttpExchange::has_body(int status) const noexcept {
    return lines_.method_id != Method::head && !is_bodiless(status);
}

/// What the answer says about the connection; settles what becomes of it.
AnswerText::Connection HttpExchange::decide_connection(bool app_closes) noexcept {
    close_after_ = close_after_ || app_closes || !lines_.keep_alive || connection_->closes_after(*this);
    if (close_after_) return AnswerText::Connection::close;
    return lines_.version_minor == 0 ? AnswerText::Connection::keep_alive : AnswerText::Connection::silent;
}

bool HttpExchange::sends_directly(std::string_view bytes) const noexcept {
    return bytes.size() >= direct_bytes && connection_->is_front(*this);
}

void HttpExchange::answer(const AnswerView& answer) {
    if (!connection_ || done_ || begun_) return;
    if (answer.status == 200 && answer.headers.empty() && lines_.method_id != Method::head &&
        answer.body.size() < direct_bytes) [[likely]] {
        status_ = 200;
        sent_bytes_ = answer.body.size();
        const AnswerText::Connection connection = decide_connection(false);
        connection_->core().text().write_ok(connection_->out_for(*this), memory_.blocks, answer.content_type,
                                            connection, answer.body);
        return complete();
    }
    answer_unusual(answer);
}

void HttpExchange::answer_unusual(const AnswerView& answer) {
    const HeaderNotes notes = answer.headers.empty() ? HeaderNotes{} : AnswerText::look_at(answer.headers);
    status_ = answer.status;
    AnswerText::Head head{.status = answer.status,
                          .content_type = answer.content_type,
                          .headers = answer.headers,
                          .length = answer.body.size(),
                          .connection = decide_connection(notes.close)};
    std::string_view body = answer.body;
    if (!has_body(answer.status)) [[unlikely]] {
        if (is_bodiless(answer.status)) head.framing = AnswerText::Framing::none;
        // What GET would have, told by an app that answers HEAD (or 304) itself.
        if (body.empty() && notes.content_length && answer.status != 204 && answer.status >= 200)
            head.told_length = notes.content_length->value;
        body = {};
    }
    sent_bytes_ = body.size();
    OutBuffer& out = connection_->out_for(*this);
    AnswerText& text = connection_->core().text();
    if (sends_directly(body)) {
        text.write(out, memory_.blocks, head, notes, {});
        connection_->send_directly(body);
    } else {
        text.write(out, memory_.blocks, head, notes, body);
    }
    complete();
}

void HttpExchange::begin(const AnswerHead& answer) {
    if (!connection_ || done_ || begun_) return;
    const HeaderNotes notes = AnswerText::look_at(answer.headers);
    begun_ = true;
    status_ = answer.status;
    silent_ = !has_body(answer.status);
    AnswerText::Head head{.status = answer.status, .content_type = {}, .headers = answer.headers};
    if (is_bodiless(answer.status)) {
        head.framing = AnswerText::Framing::none;
    } else if (answer.content_length >= 0) {
        head.length = static_cast<std::uint64_t>(answer.content_length);
        left_ = silent_ ? -1 : answer.content_length;
    } else if (lines_.version_minor == 1) {
        head.framing = AnswerText::Framing::chunked;
        chunked_ = !silent_;
    } else {
        head.framing = AnswerText::Framing::until_close;
        until_close_ = close_after_ = true;
    }
    head.connection = decide_connection(notes.close);
    connection_->core().text().write(connection_->out_for(*this), memory_.blocks, head, notes, {});
    connection_->wrote(*this);
}

void HttpExchange::write(std::string_view chunk) {
    if (!connection_ || done_ || !begun_ || silent_ || chunk.empty()) return;
    if (left_ >= 0) {
        // More than was announced would be read as the next answer.
        chunk = chunk.substr(0, std::min(chunk.size(), static_cast<std::size_t>(left_)));
        left_ -= static_cast<std::int64_t>(chunk.size());
        if (chunk.empty()) return;
    }
    sent_bytes_ += chunk.size();
    OutBuffer& out = connection_->out_for(*this);
    if (chunked_) {
        char size[20];
        char* end = std::to_chars(size, size + 16, chunk.size(), 16).ptr;
        *end++ = '\r';
        *end++ = '\n';
        out.append(memory_.blocks, {size, static_cast<std::size_t>(end - size)});
    }
    if (sends_directly(chunk))
        connection_->send_directly(chunk);
    else
        out.append(memory_.blocks, chunk);
    if (chunked_) out.append(memory_.blocks, "\r\n");
    if (send_credit() <= 0) out_of_credit_ = true;
    connection_->wrote(*this);
}

void HttpExchange::finish(std::span<const Header> trailers) {
    if (!connection_ || done_ || !begun_) return;
    if (left_ > 0) return fail();  // less than was announced
    if (chunked_) {
        OutBuffer& out = connection_->out_for(*this);
        out.append(memory_.blocks, "0\r\n");
        for (const Header& h : trailers)
            for (const std::string_view part :
                 {h.name, std::string_view(": "), h.value, std::string_view("\r\n")})
                out.append(memory_.blocks, part);
        out.append(memory_.blocks, "\r\n");
    }
    complete();
}

void HttpExchange::fail() {
    if (!connection_ || done_) return;
    if (!begun_)
        return answer(
            {.status = 500, .content_type = "text/plain; charset=utf-8", .body = "Internal Server Error"});
    cut_ = close_after_ = true;
    complete();
}

void HttpExchange::deliver_end() {
    if (!connection_ || done_ || end_told_) return;
    wants_body_ = false;
    end_told_ = true;
    if (listener_) listener_->on_body({}, true);
}

void HttpExchange::note_peer_ended() {
    if (done_ || peer_ended_) return;
    peer_ended_ = true;
    if (listener_) listener_->on_peer_ended();
}

void HttpExchange::complete() {
    done_ = true;
    connection_->finished(*this);
}

std::int64_t HttpExchange::send_credit() const noexcept {
    if (!connection_) return 1;  // nothing is kept any more, so nobody has to wait
    return connection_->credit_of(*this);
}

void HttpExchange::read_body() {
    if (!connection_ || wants_body_ || body_over_ || end_told_) return;
    wants_body_ = true;
    connection_->body_wanted(*this);
}

}  // namespace asioserve::http
