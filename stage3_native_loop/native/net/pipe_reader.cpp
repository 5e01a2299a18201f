#include "stage3_native_loop/native/net/pipe_reader.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

// What a pipe holds, as a rule, and what asyncio asks for at most.
constexpr std::size_t kPipe = 64 * 1024, kLargest = 256 * 1024;

bool readable_now(int fd) {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, 0) > 0;
}

bool leaves_the_loop() {
    return PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
}

}  // namespace

PipeReader::~PipeReader() {
    if (watch) core_->pipes().abandon(*this);
}

bool PipeReader::open(PyObject* loop, int fd) {
    if (core_) return PyErr_SetString(PyExc_RuntimeError, "the reader is open already"), false;
    if (!PyObject_TypeCheck(loop, reinterpret_cast<PyTypeObject*>(module_.loop_type.get()))) {
        PyErr_Format(PyExc_TypeError, "an asioloop.Loop is needed, not %R", loop);
        return false;
    }
    core_ = core_of(loop);
    loop_ = Ref::borrow(loop);
    fd_ = fd;
    return true;
}

bool PipeReader::start(PyObject* transport) {
    if (!core_ || core_->closed()) return PyErr_SetString(PyExc_RuntimeError, "Event loop is closed"), false;
    context_ = Ref::steal(PyContext_CopyCurrent());
    if (!context_ || (!watch && !core_->pipes().add(*this))) return false;
    reading_ = true;
    kept = Ref::borrow(transport);
    if (maybe_readable_) queue_read();
    return true;
}

Ref PipeReader::pause() {
    reading_ = false;
    return std::move(kept);
}

void PipeReader::stop() {
    const Ref self = Ref::borrow(self_), transport = pause();
    if (!watch) return;
    watch.stop(false);
    core_->pipes().remove(*this);
}

void PipeReader::edge(EdgeWatch::Edge what) {
    maybe_readable_ = true;
    if (what == EdgeWatch::Edge::read) surely_readable_ = true;
    if (reading_) queue_read();
}

void PipeReader::queue_read() {
    if (std::exchange(queued_, true)) return;
    core_->push_ready({new_reference(self_), nullptr, false, this});
}

bool PipeReader::run(bool) {
    queued_ = false;
    if (!reading_) return true;
    Ref loop = loop_, context = context_, transport = kept;  // which what runs may take away
    LoopCore& core = *core_;
    const bool timed = core.debug;
    const double begin = timed ? LoopCore::time() : 0;
    if (PyContext_Enter(context.get()) < 0) return report_failure(loop.get(), transport.get());
    const bool ok = on_readable(transport.get());
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    if (!ok) PyErr_Fetch(&type, &value, &traceback);
    if (PyContext_Exit(context.get()) < 0) PyErr_WriteUnraisable(self_);
    // What it has left is not forgotten: no edge would tell of it again.
    if (reading_ && maybe_readable_) queue_read();
    if (!ok) {
        PyErr_Restore(type, value, traceback);
        return report_failure(loop.get(), transport.get());
    }
    const double took = timed ? LoopCore::time() - begin : 0;
    if (!timed || took < core.slow_callback_duration) return true;
    Ref handle = handle_of(transport.get());
    Ref done = Ref::steal(handle ? PyObject_CallMethod(loop.get(), "_report_slow", "Od", handle.get(), took)
                                 : nullptr);
    if (!done) PyErr_WriteUnraisable(self_);
    return true;
}

bool PipeReader::on_readable(PyObject* transport) {
    for (int reads = 0; reads < 2 && reading_; ++reads) {
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

/// As asyncio's selector loop would have made it for the same event.
Ref PipeReader::handle_of(PyObject* transport) {
    Ref callback = Ref::steal(PyObject_GetAttrString(transport, "_read_ready"));
    return callback ? module_.handles.make(loop_.get(), callback.get(), module_.empty_tuple.get(), nullptr)
                    : Ref();
}

bool PipeReader::report_failure(PyObject* loop, PyObject* transport) {
    if (leaves_the_loop()) return false;
    asioserve::py::gil.assert_held();
    Ref error = asioserve::py::take_raised();
    Ref handle = handle_of(transport);
    Ref done = Ref::steal(
        handle ? PyObject_CallMethod(loop, "_callback_failed", "OO", handle.get(), error.get()) : nullptr);
    if (done) return true;
    if (leaves_the_loop()) return false;
    PyErr_WriteUnraisable(self_);
    return true;
}

int PipeReader::traverse(visitproc visit, void* arg) {
    for (const Ref* r : {&loop_, &protocol_, &context_}) Py_VISIT(r->get());
    return 0;
}

void PipeReader::clear() {
    // Not the loop, which the watch needs as long as there is one.
    reading_ = false;
    for (Ref* r : {&protocol_, &context_}) r->reset();
}

}  // namespace asioloop
