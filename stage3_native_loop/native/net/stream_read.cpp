// The reading half of Stream.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/stream.hpp"
#include "stage3_native_loop/native/net/streams.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

// Longer reads go into their bytes object straight: to copy them would cost as much as the kernel's part.
constexpr std::size_t kDirect = 16 * 1024;
// Such an object is longer than what came last by so much at most; what is not filled is given back.
constexpr std::size_t kStep = 32 * 1024;
// Reads that filled all there was room for, in a row: a stream in full flow has this share of a turn.
constexpr int kReadsATurn = 4;
// So many more callbacks are due in this turn when a poll() for all of them will cost less than a recvmsg()
// each.
constexpr std::size_t kPollPays = 4;

}  // namespace

void Stream::queue_read() {
    if (std::exchange(read_queued_, true)) return;
    core_->push_ready({new_reference(self_), nullptr, false, this});
}

bool Stream::on_readable() {
    for (int left = kReadsATurn; left > 0; --left) {
        if (lost_writes_ > 0 || !reading_ || !protocol_) return true;
        if (!read_once()) return false;
        if (!maybe_readable_ || doubtful_) break;
        if (core_ && core_->is_parents())
            return true;  // a forked child has come back: what is left is the parent's
    }
    if (maybe_readable_ && reading_) queue_read();
    return true;
}

bool Stream::read_once() {
    if (native_) return read_for_native();
    return buffered_ ? read_into_buffer() : read_data();
}

ssize_t Stream::receive(void* to, std::size_t room) {
    ssize_t n = 0;
    core_->metrics().reads.add();
    const bool poll = kind_ == Kind::unix_domain && core_->ready() >= kPollPays;  // see Streams
    do {
        if (kind_ == Kind::tcp || poll) {
            n = ::recv(fd_, to, room, MSG_DONTWAIT);
        } else {
            // A message that brought descriptors or credentials ends a read early; it shows as cut off.
            iovec buffer{to, room};
            msghdr message{};
            message.msg_iov = &buffer;
            message.msg_iovlen = 1;
            n = ::recvmsg(fd_, &message, MSG_DONTWAIT);
            if (kind_ == Kind::other || (message.msg_flags & MSG_CTRUNC)) doubtful_ = true;
        }
    } while (n < 0 && errno == EINTR);
    if (poll && n > 0 && static_cast<std::size_t>(n) < room && !core_->streams().doubt(*this))
        doubtful_ = true;
    // The peer's end may have come with these bytes: from now on that is told of too.
    if (n > 0 && static_cast<std::size_t>(n) < room && !hang_up_watched_ && !doubtful_)
        hang_up_watched_ = core_->streams().watch_hang_ups(fd_);
    if (n > 0 && !hang_up_watched_) doubtful_ = true;
    return n;
}

bool Stream::read_data() {
    Ref data;
    std::size_t room = Streams::buffer_size;
    ssize_t n = 0;
    if (last_burst_ >= kDirect) {
        room = std::min((last_burst_ / kStep + 1) * kStep, room);
        data = Ref::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(room)));
        if (!data) return fatal("Fatal read error on socket transport");
        n = receive(PyBytes_AS_STRING(data.get()), room);
    } else {
        n = receive(core_->streams().buffer().data(), room);
    }
    if (n < 0) return read_failed();
    if (n == 0) return at_eof();
    if (data) {
        PyObject* bytes = data.release();
        _PyBytes_Resize(&bytes, n);
        data = Ref::steal(bytes);
    } else {
        data = Ref::steal(PyBytes_FromStringAndSize(core_->streams().buffer().data(), n));
    }
    if (!data) return fatal("Fatal read error on socket transport");
    // What came in one go, however many reads it took: by the last read alone, a message that once came in
    // two would do so for ever.
    last_burst_ = (filled_ ? last_burst_ : 0) + static_cast<std::size_t>(n);
    filled_ = static_cast<std::size_t>(n) == room;
    maybe_readable_ = doubtful_ || filled_;
    Ref protocol = protocol_;  // which may put another in its place
    if (!Ref::steal(PyObject_CallMethodOneArg(protocol.get(), module_.data_received.get(), data.get()))) {
        if (!fatal("Fatal error: protocol.data_received() call failed.")) return false;
    }
    return true;
}

bool Stream::read_into_buffer() {
    constexpr const char* get_failed = "Fatal error: protocol.get_buffer() call failed.";
    Ref protocol = protocol_;  // which may put another in its place
    Ref buffer = Ref::steal(
        PyObject_CallMethodOneArg(protocol.get(), module_.get_buffer.get(), module_.minus_one.get()));
    if (!buffer) return fatal(get_failed);
    const Py_ssize_t length = PyObject_Size(buffer.get());
    if (length == 0) PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
    if (length <= 0) return fatal(get_failed);
    // get_buffer() may have closed the transport, and asyncio reads then all the same; there is no sense in
    // it.
    if (lost_writes_ > 0 || !reading_) return true;
    Py_buffer view;
    if (PyObject_GetBuffer(buffer.get(), &view, PyBUF_WRITABLE) < 0)
        return fatal("Fatal read error on socket transport");
    const auto room = static_cast<std::size_t>(view.len);
    const ssize_t n = receive(view.buf, room);
    const int error = errno;
    PyBuffer_Release(&view);  // which may run code
    if (lost_writes_ > 0) return true;
    errno = error;
    if (n < 0) return read_failed();
    if (n == 0) return at_eof();
    maybe_readable_ = doubtful_ || static_cast<std::size_t>(n) == room;
    protocol = protocol_;
    Ref count = Ref::steal(PyLong_FromSsize_t(n));
    if (!count ||
        !Ref::steal(PyObject_CallMethodOneArg(protocol.get(), module_.buffer_updated.get(), count.get()))) {
        if (!fatal("Fatal error: protocol.buffer_updated() call failed.")) return false;
    }
    return true;
}

bool Stream::read_for_native() {
    constexpr std::size_t room = 64 * 1024;  // a MemoryBIO stays as large as it ever was
    char* const buffer = core_->streams().buffer().data();
    const ssize_t n = receive(buffer, room);
    if (n < 0) return read_failed();
    if (n == 0) return at_eof();
    maybe_readable_ = doubtful_ || static_cast<std::size_t>(n) == room;
    const Ref protocol = protocol_;  // which may put another in its place
    if (!native_->received(buffer, static_cast<std::size_t>(n)) &&
        !fatal("Fatal error: protocol.buffer_updated() call failed."))
        return false;
    return true;
}

bool Stream::read_failed() {
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        maybe_readable_ = doubtful_ = filled_ = false;
        return true;
    }
    PyErr_SetFromErrno(PyExc_OSError);
    return fatal("Fatal read error on socket transport");
}

bool Stream::at_eof() {
    if (!log_debug("received EOF")) return false;
    Ref keep_open = Ref::steal(PyObject_CallMethodNoArgs(protocol_.get(), module_.names.eof_received.get()));
    if (!keep_open) return fatal("Fatal error: protocol.eof_received() call failed.");
    const int keep = PyObject_IsTrue(keep_open.get());
    if (keep < 0) return false;
    if (keep == 0) return close();
    // Nothing more can come; the protocol may still write.
    reading_ = false;
    keep_if_needed();
    return true;
}

}  // namespace asioloop
