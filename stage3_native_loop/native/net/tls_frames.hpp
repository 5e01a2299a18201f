// How many whole TLS records have come, by their headers: whether it makes sense to ask for data.
// SSLObject.read would tell as well, but by an exception, which costs as much as a small record.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace asioloop {

/// Errs on one side only: it may say that there is a record where there is none.
class TlsFrames {
  public:
    /// Has been received, after what was before.
    void received(std::span<const char> data) noexcept {
        while (known_ && !data.empty()) {
            if (left_ == 0) {
                header_[filled_++] = static_cast<std::uint8_t>(data.front());
                data = data.subspan(1);
                if (filled_ == header_size) begin();
            } else {
                const std::size_t n = std::min(left_, data.size());
                data = data.subspan(n);
                left_ -= n;
                if (left_ == 0) ++whole_;
            }
        }
    }
    /// Something has come that this has not seen, or what has come are no records: from now on there may be
    /// one.
    void lost() noexcept { known_ = false; }
    /// Whether there may be a whole record that nobody has read.
    bool any() const noexcept { return !known_ || whole_ > 0; }
    /// One was read to its end.
    void read_one() noexcept {
        if (whole_ > 0) --whole_;
    }
    /// There was none.
    void none() noexcept { whole_ = 0; }

  private:
    static constexpr std::size_t header_size = 5;
    static constexpr std::size_t longest = 16 * 1024 + 2048;  // of TLS 1.2; 1.3's are shorter

    void begin() noexcept {
        filled_ = 0;
        left_ = static_cast<std::size_t>(header_[3]) << 8 | header_[4];
        // Types from change_cipher_spec to heartbeat, of any version that has records.
        const bool plausible = header_[0] >= 20 && header_[0] <= 24 && header_[1] == 3;
        if (!plausible || left_ == 0 || left_ > longest) lost();
    }

    std::uint8_t header_[header_size] = {};
    std::size_t filled_ = 0;
    std::size_t left_ = 0;  // of the record whose header is read
    std::size_t whole_ = 0;
    bool known_ = true;
};

}  // namespace asioloop
