// What a stream has still to send: pieces that go out together, by one system call, as far as the peer takes
// them.
//
// Pieces are bytes objects, shared when the program has given one, as nobody can change it; anything else has
// been copied. Threads: under the GIL.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <vector>

#include "common/python/ref.hpp"

namespace asioloop {

class WriteQueue {
  public:
    /// Whether all is sent.
    bool empty() const noexcept { return first_ == pieces_.size(); }
    /// Bytes that are left.
    std::size_t size() const noexcept { return size_; }
    /// Adds bytes `from` .. end of `data`: shares it if it is a bytes object, else copies them out of `view`.
    /// False with an exception set.
    bool add(PyObject* data, const Py_buffer& view, std::size_t from);
    /// Sends what it can. True: all is sent. False: errno says why not; EAGAIN is no error.
    bool send(int fd);
    /// What is left of the first piece. Not when empty.
    std::span<const char> front() const noexcept;
    /// Forgets the first `n` bytes.
    void sent(std::size_t n) noexcept;
    /// Forgets all.
    void clear() noexcept;

  private:
    std::vector<asioserve::py::Ref> pieces_;  // from first_ on
    std::size_t first_ = 0;
    std::size_t offset_ = 0;  // what of the first piece is sent
    std::size_t size_ = 0;
};

/// sendmsg() of several buffers to a socket that never blocks and never raises SIGPIPE; again when a signal
/// came.
ssize_t send_now(int fd, std::span<iovec> buffers) noexcept;

}  // namespace asioloop
