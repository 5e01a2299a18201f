// Counts HTTP/1.1 answers in a stream of bytes, as cheaply as it can: the load must cost less than the
// server. Threads: none; one counter per connection, used where the connection is read. GIL: not involved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace asioserve::bench {

/// The answers of one connection. They all look alike, so the first one is parsed and the others are compared
/// with it; one that differs is parsed again. Answers without a Content-Length cannot be counted and are an
/// error.
class AnswerCounter {
  public:
    /// Takes the next bytes; returns how many answers ended in them. Nothing is counted after an error.
    std::size_t feed(std::string_view bytes);

    /// What was wrong with the stream, or empty. The first error stays.
    const std::string& error() const noexcept { return error_; }

  private:
    std::size_t start_answer(std::string_view bytes, std::size_t& answers);
    bool looks_like_the_last(std::string_view bytes) const noexcept;
    bool learn(std::string_view head);

    std::string partial_head_;     // of an answer whose head is not complete yet
    std::uint64_t body_left_ = 0;  // of an answer whose head is complete
    std::string length_text_;      // the Content-Length of the last answer, as it stood there
    std::size_t length_at_ = 0;    // and where in the head
    std::size_t head_size_ = 0;    // with its empty line; 0 before the first answer
    std::uint64_t body_size_ = 0;
    std::string error_;
};

}  // namespace asioserve::bench
