#include "stage3_native_loop/native/net/pipe_reader.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

using asioserve::py::Ref;

namespace {

// What a pipe holds, as a rule, and what asyncio asks for at most.
constexpr std::size_t kPipe = 64 * 1024, kLargest = 256 * 1024;

bool readable_now(int fd) {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, 0) > 0;
}

}  // namespace

bool PipeReader::start(PyObject* transport) {
    context_ = Ref::steal(PyContext_CopyCurrent());
    if (!context_ || !watched()) return false;
    reading_ = true;
    kept = Ref::borrow(transport);
    if (maybe_readable_) queue_read();
    return true;
}

Ref PipeReader::pause() {
    reading_ = false;
    return std::move(kept);
}

void PipeReader::edge(EdgeWatch::Edge what) {
    maybe_readable_ = true;
    if (what == EdgeWatch::Edge::read) surely_readable_ = true;
    if (reading_) queue_read();
}

void PipeReader::queue_read() {
    if (!std::exchange(queued_, true)) push(false);
}

bool PipeReader::due(bool, Ref& context) {
    queued_ = false;
    context = context_;
    return reading_;
}

bool PipeReader::act(bool, PyObject* transport) {
    const bool ok = read_some(transport);
    // What it has left is not forgotten: no edge would tell of it again.
    if (reading_ && maybe_readable_) queue_read();
    return ok;
}

bool PipeReader::read_some(PyObject* transport) {
    // What is left when a forked child comes back is the parent's.
    for (int reads = 0; reads < 2 && reading_ && !core_->is_parents(); ++reads) {
        if (!std::exchange(surely_readable_, false) && !readable_now(fd_)) {
            maybe_readable_ = false;
            return true;
        }
        Ref data;
        std::size_t room = 0;
        const ssize_t n = receive(data, room);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) continue;  // somebody else has read it
        if (n < 0) {
            PyErr_SetFromErrno(PyExc_OSError);
            asioserve::py::gil.assert_held();
            Ref error = asioserve::py::take_raised();
            return static_cast<bool>(
                Ref::steal(PyObject_CallMethod(transport, "_read_failed", "O", error.get())));
        }
        if (n == 0) {
            pause();
            return static_cast<bool>(Ref::steal(PyObject_CallMethod(transport, "_at_eof", nullptr)));
        }
        if (!data) return false;
        Ref protocol = protocol_;  // which may put another in its place
        if (!Ref::steal(PyObject_CallMethodOneArg(protocol.get(), module_.data_received.get(), data.get())))
            return false;
        if (static_cast<std::size_t>(n) == room) break;  // others have their turn first
    }
    return true;
}

/// Reads up to `room` bytes; `data` is null if there was no memory for them, with an exception set.
ssize_t PipeReader::receive(Ref& data, std::size_t& room) {
    const std::span<char> shared = core_->streams().buffer();
    room = bulk_ ? bulk_ : shared.size();
    PyObject* bytes = nullptr;
    if (bulk_ && !(bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(room)))) {
        PyErr_Clear();  // the exact size may still be had
        bulk_ = 0;
        room = shared.size();
    }
    void* const to = bytes ? PyBytes_AS_STRING(bytes) : shared.data();
    ssize_t n = 0;
    core_->metrics().reads.add();
    do n = ::read(fd_, to, room);
    while (n < 0 && errno == EINTR);
    const int error = errno;
    const auto size = static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    if (bytes) {
        if (size != room) _PyBytes_Resize(&bytes, static_cast<Py_ssize_t>(size));
        data = Ref::steal(bytes);
    } else if (n > 0) {
        data = Ref::steal(PyBytes_FromStringAndSize(static_cast<const char*>(to), n));
    }
    // After a short one, the next is not expected to be long.
    if (n > 0) bulk_ = size < kPipe / 2 ? 0 : size < room ? kPipe : std::min(2 * room, kLargest);
    errno = error;
    return n;
}

int PipeReader::traverse(visitproc visit, void* arg) {
    if (const int r = keeps_module_.traverse(visit, arg)) return r;
    for (const Ref* r : {&loop_, &protocol_, &context_}) Py_VISIT(r->get());
    return 0;
}

void PipeReader::clear() {
    // Not the loop, which the watch needs as long as there is one.
    reading_ = false;
    for (Ref* r : {&protocol_, &context_}) r->reset();
}

}  // namespace asioloop
