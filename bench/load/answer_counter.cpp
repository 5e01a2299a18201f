#include "bench/load/answer_counter.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace asioserve::bench {
namespace {

constexpr std::string_view kGood = "HTTP/1.1 200 ";
constexpr std::string_view kEnd = "\r\n\r\n";
constexpr std::size_t kLongestHead = 64 * 1024;

// The place of the value of the header `name` (lower case, with colon) in `head`, or npos.
std::size_t find_value(std::string_view head, std::string_view name) {
    for (std::size_t line = head.find("\r\n"); line != std::string_view::npos;
         line = head.find("\r\n", line)) {
        line += 2;
        const std::string_view rest = head.substr(line);
        const bool same = rest.size() > name.size() &&
                          std::equal(name.begin(), name.end(), rest.begin(), [](char a, char b) {
                              return a == std::tolower(static_cast<unsigned char>(b));
                          });
        if (same) {
            return head.find_first_not_of(' ', line + name.size());
        }
    }
    return std::string_view::npos;
}

}  // namespace

bool AnswerCounter::looks_like_the_last(std::string_view bytes) const noexcept {
    return head_size_ != 0 && bytes.size() >= head_size_ && bytes.starts_with(kGood) &&
           bytes.substr(length_at_, length_text_.size()) == length_text_ &&
           bytes.substr(head_size_ - kEnd.size(), kEnd.size()) == kEnd;
}

bool AnswerCounter::learn(std::string_view head) {
    if (!head.starts_with(kGood)) {
        error_ =
            "answer is not 200: " + std::string(head.substr(0, std::min(head.find("\r\n"), std::size_t{80})));
        return false;
    }
    length_at_ = find_value(head, "content-length:");
    if (length_at_ == std::string_view::npos) {
        error_ = "answer has no Content-Length";
        return false;
    }
    const std::string_view text = head.substr(length_at_, head.find("\r\n", length_at_) - length_at_);
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), body_size_);
    if (failed != std::errc{} || end != text.data() + text.size()) {
        error_ = "answer has a bad Content-Length";
        return false;
    }
    // With the end of the line: "17" is not the start of "170".
    length_text_ = std::string(text) + "\r\n";
    head_size_ = head.size();
    return true;
}

// Takes bytes at the start of an answer or in its head; returns how many of them were used.
std::size_t AnswerCounter::start_answer(std::string_view bytes, std::size_t& answers) {
    if (partial_head_.empty() && looks_like_the_last(bytes)) {
        body_left_ = body_size_;
        answers += body_left_ == 0 ? 1U : 0U;
        return head_size_;
    }
    const std::size_t before = partial_head_.size();
    partial_head_.append(bytes.substr(0, kLongestHead));
    const std::size_t end = partial_head_.find(kEnd, before < kEnd.size() ? 0 : before - kEnd.size());
    if (end == std::string::npos) {
        if (partial_head_.size() > kLongestHead) {
            error_ = "answer's head does not end";
        }
        return bytes.size();
    }
    partial_head_.resize(end + kEnd.size());
    if (!learn(partial_head_)) {
        return bytes.size();
    }
    const std::size_t used = partial_head_.size() - before;
    partial_head_.clear();
    body_left_ = body_size_;
    answers += body_left_ == 0 ? 1U : 0U;
    return used;
}

std::size_t AnswerCounter::feed(std::string_view bytes) {
    std::size_t answers = 0;
    while (!bytes.empty() && error_.empty()) {
        if (body_left_ == 0) {
            bytes.remove_prefix(start_answer(bytes, answers));
            continue;
        }
        const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size()));
        bytes.remove_prefix(part);
        body_left_ -= part;
        answers += body_left_ == 0 ? 1U : 0U;
    }
    return answers;
}

}  // namespace asioserve::bench
