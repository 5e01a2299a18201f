#include "stage3_native_loop/native/net/write_queue.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace asioloop {

using asioserve::py::Ref;

ssize_t send_now(int fd, std::span<iovec> buffers) noexcept {
    constexpr int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    ssize_t n = 0;
    do {
        if (buffers.size() == 1) {
            n = ::send(fd, buffers[0].iov_base, buffers[0].iov_len, flags);
        } else {
            msghdr message{};
            message.msg_iov = buffers.data();
            message.msg_iovlen = buffers.size();
            n = ::sendmsg(fd, &message, flags);
        }
    } while (n < 0 && errno == EINTR);
    return n;
}

bool WriteQueue::add(PyObject* data, const Py_buffer& view, std::size_t from) {
    const auto size = static_cast<std::size_t>(view.len);
    if (from == size) return true;
    const bool shared = PyBytes_CheckExact(data);
    Ref piece = shared ? Ref::borrow(data)
                       : Ref::steal(PyBytes_FromStringAndSize(static_cast<const char*>(view.buf) + from,
                                                              static_cast<Py_ssize_t>(size - from)));
    if (!piece) return false;
    if (empty()) {
        if (shared) offset_ = from;
    } else if (shared && from > 0) {
        // Only the first piece has an offset.
        piece = Ref::steal(PyBytes_FromStringAndSize(static_cast<const char*>(view.buf) + from,
                                                     static_cast<Py_ssize_t>(size - from)));
        if (!piece) return false;
    }
    pieces_.push_back(std::move(piece));
    size_ += size - from;
    return true;
}

bool WriteQueue::send(int fd) {
    while (!empty()) {
        std::array<iovec, 256> buffers;
        const std::size_t n = std::min(pieces_.size() - first_, buffers.size());
        std::size_t offered = 0;
        for (std::size_t i = 0; i < n; ++i) {
            PyObject* piece = pieces_[first_ + i].get();
            const std::size_t skip = i == 0 ? offset_ : 0;
            buffers[i] = {PyBytes_AS_STRING(piece) + skip,
                          static_cast<std::size_t>(PyBytes_GET_SIZE(piece)) - skip};
            offered += buffers[i].iov_len;
        }
        const ssize_t taken = send_now(fd, std::span(buffers).first(n));
        if (taken < 0) return false;
        sent(static_cast<std::size_t>(taken));
        if (static_cast<std::size_t>(taken) < offered) {
            errno = EAGAIN;
            return false;
        }
    }
    return true;
}

std::span<const char> WriteQueue::front() const noexcept {
    PyObject* piece = pieces_[first_].get();
    return std::span(PyBytes_AS_STRING(piece), static_cast<std::size_t>(PyBytes_GET_SIZE(piece)))
        .subspan(offset_);
}

void WriteQueue::sent(std::size_t n) noexcept {
    size_ -= n;
    while (n > 0) {
        const std::size_t left = static_cast<std::size_t>(PyBytes_GET_SIZE(pieces_[first_].get())) - offset_;
        if (n < left) {
            offset_ += n;
            break;
        }
        n -= left;
        offset_ = 0;
        pieces_[first_++].reset();
    }
    if (empty()) return clear();
    // Half of it is behind us: moved up, so that a queue that never empties does not grow for ever.
    if (first_ >= 64 && first_ * 2 >= pieces_.size()) {
        pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
}

void WriteQueue::clear() noexcept {
    pieces_.clear();
    // A connection that has been slow once must not hold memory for it.
    if (pieces_.capacity() > 64) pieces_.shrink_to_fit();
    first_ = offset_ = size_ = 0;
}

}  // namespace asioloop
