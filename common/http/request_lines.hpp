// The head of a request while it is read and as long as its exchange lives: room for header fields without
// allocation, and what the connection has to know of them.
//
// Threads: I/O thread until the exchange is started, then constant.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/runner/exchange.hpp"

namespace asioserve::http {

class RequestLines {
  public:
    RequestLines() noexcept {}  // NOLINT(modernize-use-equals-default): = default would zero the fields
    RequestLines(const RequestLines&) = delete;
    RequestLines& operator=(const RequestLines&) = delete;

    /// A field begins.
    void add(std::string_view name) {
        if (count_ < inline_fields)
            fields_[count_].name = name;
        else
            spill(name);
        ++count_;
    }
    /// The field that was added last.
    Header& last() noexcept { return more_.empty() ? fields_[count_ - 1] : more_.back(); }
    /// All, in the order of the request.
    std::span<const Header> fields() const noexcept {
        return more_.empty() ? std::span<const Header>(fields_.data(), count_)
                             : std::span<const Header>(more_);
    }
    /// How many there are.
    std::size_t count() const noexcept { return count_; }
    /// The bytes have moved: all views follow.
    void relocate(std::ptrdiff_t distance) noexcept;

    /// See RequestHead.
    std::string_view target;
    /// See RequestHead.
    std::string_view path;
    /// See RequestHead.
    std::string_view query;
    /// See RequestHead.
    std::string_view method;
    std::int64_t content_length = 0;  ///< -1: chunked
    /// See RequestHead.
    Method method_id = Method::other;
    /// See RequestHead.
    std::uint8_t version_minor = 1;
    /// The peer wants to go on behind the answer.
    bool keep_alive = true;
    /// The peer waits for "100 Continue".
    bool expects_continue = false;
    bool safe = false;  ///< RFC 9110 section 9.2.1: running it early does no harm

  private:
    static constexpr std::size_t inline_fields = 16;  // a browser sends 12 to 18
    void spill(std::string_view name);

    std::size_t count_ = 0;
    union {  // not zeroed: 512 bytes per request that nearly all stay unused
        /// The first ones; nearly all requests have no more.
        std::array<Header, inline_fields> fields_;
    };
    std::vector<Header> more_;
};

}  // namespace asioserve::http
