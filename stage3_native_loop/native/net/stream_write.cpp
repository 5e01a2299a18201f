// The writing half of Stream.
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <vector>

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/aside.hpp"
#include "stage3_native_loop/native/core/failures.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/stream.hpp"
#include "stage3_native_loop/native/net/view.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

bool writable_type(PyObject* data) {
    if (PyBytes_Check(data) || PyByteArray_Check(data) || PyMemoryView_Check(data)) return true;
    Ref name = Ref::steal(PyType_GetName(Py_TYPE(data)));
#if PY_VERSION_HEX >= 0x030E0000
    if (name)
        PyErr_Format(PyExc_TypeError,
                     "data argument must be a bytes, bytearray, or memoryview object, not %R", name.get());
#else
    if (name) PyErr_Format(PyExc_TypeError, "data argument must be a bytes-like object, not %R", name.get());
#endif
    return false;
}

}  // namespace

bool Stream::may_write(const char* after_eof, const char* in_sendfile) {
    if (eof_written_) return PyErr_SetString(PyExc_RuntimeError, after_eof), false;
    if (empty_waiter_) return PyErr_SetString(PyExc_RuntimeError, in_sendfile), false;
    return true;
}

bool Stream::lost_write() {
    // As asyncio: silent at first, as a program cannot know at once; then it is told.
    constexpr int silent = 5;
    if (lost_writes_++ < silent) return true;
    return static_cast<bool>(Ref::steal(PyObject_CallMethod(self_, "_warn_lost_write", nullptr)));
}

bool Stream::write(PyObject* data) {
    if (!writable_type(data)) return false;
    if (!may_write("Cannot call write() after write_eof()", "unable to write; sendfile is in progress"))
        return false;
    const Py_ssize_t length = PyObject_Size(data);
    if (length < 0) return false;
    if (length == 0) return true;
    if (lost_writes_ > 0) return lost_write();
    View view;
    if (!view.get(data)) return fatal("Fatal write error on socket transport");
    return send_pieces(std::span(&view.view, 1), &data);
}

bool Stream::write_lines(PyObject* list) {
#if PY_VERSION_HEX < 0x030C0000
    // 3.11 joins them first, and complains as join() and write() do.
    Ref joined = Ref::steal(PyObject_CallMethod(module_.empty_bytes.get(), "join", "O", list));
    return joined && write(joined.get());
#else
    if (!may_write("Cannot call writelines() after write_eof()",
                   "unable to writelines; sendfile is in progress"))
        return false;
    const int any = PyObject_IsTrue(list);
    if (any <= 0) return any == 0;
    if (lost_writes_ > 0) return lost_write();
    Ref items = Ref::steal(PySequence_Tuple(list));
    if (!items) return false;
    const auto n = static_cast<std::size_t>(PyTuple_GET_SIZE(items.get()));
    std::vector<Ref> views;  // memoryview() refuses what asyncio refuses, in its words
    std::vector<Py_buffer> buffers;
    std::vector<PyObject*> owners;
    for (std::size_t i = 0; i < n; ++i) {
        PyObject* item = PyTuple_GET_ITEM(items.get(), static_cast<Py_ssize_t>(i));
        Ref view = Ref::steal(PyMemoryView_FromObject(item));
        if (!view) return false;
        Py_buffer* buffer = PyMemoryView_GET_BUFFER(view.get());
        if (!PyBuffer_IsContiguous(buffer, 'C')) {
            PyErr_SetString(PyExc_BufferError, "memoryview: underlying buffer is not C-contiguous");
            return fatal("Fatal write error on socket transport");
        }
        if (buffer->len == 0) continue;
        buffers.push_back(*buffer);
        owners.push_back(item);
        views.push_back(std::move(view));
    }
    return buffers.empty() || send_pieces(buffers, owners.data());
#endif
}

/// Keeps small ones back for the end of the turn. Of others it sends at once what the kernel takes, if
/// nothing waits before them; the rest is queued.
bool Stream::send_pieces(std::span<Py_buffer> views, PyObject* const* owners) {
    if (may_gather()) {
        std::size_t size = 0;
        bool shared = true;
        for (std::size_t i = 0; i < views.size(); ++i) {
            size += static_cast<std::size_t>(views[i].len);
            shared = shared && PyBytes_CheckExact(owners[i]);
        }
        if (size <= Gathered::small) return gather(views, owners);
        // Together with a head that waits, unless that would cost a copy.
        if (gathered_ && shared) return gather(views, owners) && flush();
        if (!flush()) return false;
        if (lost_writes_ > 0) return true;
    }
    std::size_t done = 0;    // pieces that are sent whole
    std::size_t offset = 0;  // what of the next one is sent
    while (out_.empty() && done < views.size()) {
        std::array<iovec, 64> buffers;
        const std::size_t n = std::min(views.size() - done, buffers.size());
        std::size_t offered = 0;
        for (std::size_t i = 0; i < n; ++i) {
            buffers[i] = {views[done + i].buf, static_cast<std::size_t>(views[done + i].len)};
            offered += buffers[i].iov_len;
        }
        if (core_) core_->metrics().writes.add();
        const ssize_t taken = send_now(fd_, std::span(buffers).first(n));
        if (taken < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return write_failed();
        offset = taken < 0 ? 0 : static_cast<std::size_t>(taken);
        const bool all = offset == offered;
        while (done < views.size() && offset >= static_cast<std::size_t>(views[done].len))
            offset -= static_cast<std::size_t>(views[done++].len);
        if (!all) break;
    }
    if (done == views.size()) return true;
    if (!wait_writable()) return false;
    for (; done < views.size(); ++done, offset = 0)
        if (!out_.add(owners[done], views[done], offset)) return false;
    keep_if_needed();
    return maybe_pause_protocol();
}

/// An edge will say when there is room again.
bool Stream::wait_writable() {
    if (!out_.empty()) return true;
    write_context_ = Ref::steal(PyContext_CopyCurrent());
    if (!write_context_ || !watched()) return false;
    watch.want_write();
    return true;
}

bool Stream::write_failed() {
    PyErr_SetFromErrno(PyExc_OSError);
    return fatal("Fatal write error on socket transport");
}

bool Stream::on_writable() {
    if (out_.empty() || lost_writes_ > 0) return true;
    core_->metrics().writes.add();
    if (!out_.send(fd_)) {
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            PyErr_SetFromErrno(PyExc_OSError);
            asioserve::py::gil.assert_held();
            Ref error = asioserve::py::take_raised();
            out_.clear();
            Ref waiter = empty_waiter_;
            Ref told = Ref::steal(PyObject_CallMethod(self_, "_fatal_error", "Os", error.get(),
                                                      "Fatal write error on socket transport"));
            if (!told || !waiter) return static_cast<bool>(told);
            return static_cast<bool>(
                Ref::steal(PyObject_CallMethod(self_, "_fail_waiter", "OO", waiter.get(), error.get())));
        }
    }
    if (maybe_resume_protocol()) return !out_.empty() || all_sent();  // it may have written more
    if (out_.empty()) {
        // It leaves the loop, and nothing else will come here to end what is closing.
        const Aside error;
        if (!all_sent()) PyErr_WriteUnraisable(self_);
    }
    return false;
}

bool Stream::all_sent() {
    keep_if_needed();
    if (lost_writes_ > 0) return true;  // resume_writing() has aborted it
    if (Ref waiter = empty_waiter_) {
        unwatch();  // sendfile() watches the descriptor itself
        if (!Ref::steal(PyObject_CallMethod(self_, "_wake_waiter", "O", waiter.get()))) return false;
    }
    if (closing_) {
        ++lost_writes_;  // connection_lost() may call abort(): it is told once all the same
        return lose(Py_None);
    }
    if (eof_written_ && ::shutdown(fd_, SHUT_WR) < 0) return PyErr_SetFromErrno(PyExc_OSError), false;
    return true;
}

bool Stream::write_eof() {
    if (closing_ || eof_written_) return true;
    if (!flush()) return false;
    if (closing_) return true;  // it could not be sent
    eof_written_ = true;
    if (out_.empty() && ::shutdown(fd_, SHUT_WR) < 0) return PyErr_SetFromErrno(PyExc_OSError), false;
    return true;
}

bool Stream::set_empty_waiter(PyObject* waiter) {
    if (!flush()) return false;
    empty_waiter_ = waiter == Py_None ? Ref() : Ref::borrow(waiter);
    if (!empty_waiter_ || !out_.empty()) return true;
    unwatch();
    return static_cast<bool>(Ref::steal(PyObject_CallMethod(self_, "_wake_waiter", "O", waiter)));
}

// --- flow control
// -----------------------------------------------------------------------------------------------

bool Stream::set_limits(PyObject* high, PyObject* low) {
    if (!flush()) return false;
    const double h = PyFloat_AsDouble(high), l = PyFloat_AsDouble(low);
    if (PyErr_Occurred()) return false;
    high_ = h;
    low_ = l;
    high_object_ = Ref::borrow(high);
    low_object_ = Ref::borrow(low);
    return maybe_pause_protocol();
}

bool Stream::maybe_pause_protocol() {
    if (static_cast<double>(out_.size()) <= high_ || protocol_paused_) return true;
    protocol_paused_ = true;
    return flow_callback("pause_writing", "protocol.pause_writing() failed");
}

bool Stream::maybe_resume_protocol() {
    if (!protocol_paused_ || static_cast<double>(out_.size()) > low_) return true;
    protocol_paused_ = false;
    return flow_callback("resume_writing", "protocol.resume_writing() failed");
}

bool Stream::flow_callback(const char* method, const char* message) {
    if (Ref::steal(PyObject_CallMethod(protocol_.get(), method, nullptr))) return true;
    if (leaves_the_loop()) return false;
    asioserve::py::gil.assert_held();
    Ref error = asioserve::py::take_raised();
    return static_cast<bool>(
        Ref::steal(PyObject_CallMethod(self_, "_flow_failed", "sO", message, error.get())));
}

}  // namespace asioloop
