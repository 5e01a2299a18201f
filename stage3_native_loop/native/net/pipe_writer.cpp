#include "stage3_native_loop/native/net/pipe_writer.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

using asioserve::py::Ref;

namespace {

ssize_t write_now(int fd, const void* data, std::size_t size) {
    ssize_t n = 0;
    do n = ::write(fd, data, size);
    while (n < 0 && errno == EINTR);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : n;
}

}  // namespace

bool PipeWriter::start(PyObject* transport, bool socket) {
    gone_context_ = Ref::steal(PyContext_CopyCurrent());
    if (!gone_context_ || !watched()) return false;
    socket_ = socket;
    watches_for_end_ = true;
    kept = Ref::borrow(transport);
    return true;
}

bool PipeWriter::write(PyObject* data, PyObject* transport) {
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) return false;
    const auto* bytes = static_cast<const char*>(view.buf);
    const auto length = static_cast<std::size_t>(view.len);
    std::size_t taken = 0;
    bool ok = true;
    if (size() == 0 && !attempt(bytes, length, taken)) {
        PyErr_SetFromErrno(PyExc_OSError);
        ok = false;
    }
    if (ok && taken < length) {
        if (size() == 0) {
            discard();
            write_context_ = Ref::steal(PyContext_CopyCurrent());
            ok = write_context_ && watched();
            if (ok) watch.want_write();
        }
        try {
            if (ok) out_.insert(out_.end(), bytes + taken, bytes + length);
        } catch (const std::bad_alloc&) {
            PyErr_NoMemory();
            ok = false;
        }
        if (ok && !kept) kept = Ref::borrow(transport);
        if (ok) queue_unless_full();
    }
    PyBuffer_Release(&view);
    return ok;
}

/// False with errno set.
bool PipeWriter::attempt(const char* data, std::size_t length, std::size_t& taken) {
    core_->metrics().writes.add();
    // Twice, as an edge comes only after a write that the kernel did not take; not until then, as whoever
    // reads may be as quick as we are.
    full_ = false;
    for (int writes = 0; writes < 2 && taken < length && !full_; ++writes) {
        const ssize_t n = write_now(fd_, data + taken, length - taken);
        if (n < 0) return false;
        full_ = n == 0;
        taken += static_cast<std::size_t>(n);
    }
    return true;
}

void PipeWriter::queue_unless_full() {
    if (!full_ && !std::exchange(write_queued_, true)) push(true);
}

void PipeWriter::discard() noexcept {
    out_ = {};
    done_ = 0;
}

Ref PipeWriter::pause() {
    discard();
    watches_for_end_ = false;
    return std::move(kept);
}

void PipeWriter::edge(EdgeWatch::Edge what) {
    if (what == EdgeWatch::Edge::write) {
        if (size() > 0 && !std::exchange(write_queued_, true)) push(true);
    } else if (watches_for_end_ && !std::exchange(gone_queued_, true)) {
        push(false);
    }
}

bool PipeWriter::due(bool write, Ref& context) {
    (write ? write_queued_ : gone_queued_) = false;
    context = write ? write_context_ : gone_context_;
    return write ? size() > 0 : watches_for_end_;
}

bool PipeWriter::act(bool write, PyObject* transport) {
    if (write) return flush(transport);
    pollfd p{fd_, static_cast<short>(socket_ ? POLLIN : 0), 0};  // errors and hang-ups come unasked
    if (::poll(&p, 1, 0) <= 0) return true;
    return static_cast<bool>(Ref::steal(PyObject_CallMethod(transport, "_read_ready", nullptr)));
}

bool PipeWriter::flush(PyObject* transport) {
    if (!attempt(out_.data(), out_.size(), done_)) {
        PyErr_SetFromErrno(PyExc_OSError);
        asioserve::py::gil.assert_held();
        Ref error = asioserve::py::take_raised();
        discard();
        return static_cast<bool>(
            Ref::steal(PyObject_CallMethod(transport, "_write_failed", "O", error.get())));
    }
    if (size() == 0) {
        discard();
        const Ref last = watches_for_end_ ? Ref() : std::move(kept);
        return static_cast<bool>(Ref::steal(PyObject_CallMethod(transport, "_all_written", nullptr)));
    }
    if (done_ > out_.size() / 2) {
        out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(done_));
        done_ = 0;
    }
    queue_unless_full();
    return true;
}

int PipeWriter::traverse(visitproc visit, void* arg) {
    if (const int r = keeps_module_.traverse(visit, arg)) return r;
    for (const Ref* r : {&loop_, &gone_context_, &write_context_}) Py_VISIT(r->get());
    return 0;
}

void PipeWriter::clear() {
    // Not the loop, which the watch needs as long as there is one.
    discard();
    watches_for_end_ = false;
    for (Ref* r : {&gone_context_, &write_context_}) r->reset();
}

}  // namespace asioloop
