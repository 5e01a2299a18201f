// The writing half of Tls.
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/stream.hpp"
#include "stage3_native_loop/native/net/tls.hpp"
#include "stage3_native_loop/native/net/view.hpp"
#include "stage3_native_loop/native/net/window.hpp"

namespace asioloop {

using asioserve::py::Ref;

namespace {
// So much is encrypted before it is sent: a few records to a system call, and no more than a cache holds.
constexpr std::size_t kGather = 64 * 1024;
}  // namespace

bool Tls::lost_write() {
    // As asyncio: silent at first, as a program cannot know at once; then it is told.
    constexpr Py_ssize_t silent = 5;
    return fields_.lost_writes++ < silent || call("_warn_lost_write");
}

bool Tls::write(PyObject* data) {
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) && !PyMemoryView_Check(data)) {
        Ref name = Ref::steal(PyType_GetName(Py_TYPE(data)));
        if (name) PyErr_Format(PyExc_TypeError, "data: expecting a bytes-like instance, got %U", name.get());
        return false;
    }
    View view;
    if (!view.get(data)) return false;
    if (view.view.len == 0) return true;
    if (at() != State::wrapped && at() != State::handshake) return lost_write();
    if (!core_) return true;
    std::size_t done = 0;
    if (at() == State::wrapped && queued_.empty() && !fields_.writing_paused && !encrypt_all(view.view, done))
        return fatal();
    if (!queued_.add(data, view.view, done)) return false;
    if (at() != State::wrapped) return true;           // the end of the handshake sends it
    if (reading_ > 0 && queued_.empty()) return true;  // the end of read() does
    return reading_ > 0 ? control_writing() || fatal() : send_queued();
}

bool Tls::queue(PyObject* data) {
    View view;
    return view.get(data) && queued_.add(data, view.view, 0);
}

/// Nothing will be sent any more: to go on would be work for nothing, and a warning for each piece of it.
bool Tls::lost() const noexcept {
    return stream_ && stream_->lost();
}

bool Tls::encrypt_all(const Py_buffer& view, std::size_t& done) {
    const auto size = static_cast<std::size_t>(view.len);
    while (done < size && !fields_.writing_paused && !lost()) {
        const Py_ssize_t n = encrypt(static_cast<const char*>(view.buf) + done, size - done);
        if (n <= 0) return n == 0;
        done += static_cast<std::size_t>(n);
        if (gathered_ >= kGather && !push()) return false;
    }
    return true;
}

bool Tls::encrypt_queued() {
    // Once the connection closes, close_notify comes after all of it: it cannot wait for room.
    while (core_ && !queued_.empty() && !lost() &&
           (at() == State::flushing || (at() == State::wrapped && !fields_.writing_paused))) {
        const std::span<const char> piece = queued_.front();
        const Py_ssize_t n = encrypt(piece.data(), piece.size());
        if (n <= 0) return n == 0;
        queued_.sent(static_cast<std::size_t>(n));
        if (gathered_ >= kGather && !push()) return false;
    }
    return true;
}

bool Tls::send_queued() {
    return (encrypt_queued() && flush()) || fatal();
}

/// One record. How much of it; 0: not now; -1: with an exception set.
Py_ssize_t Tls::encrypt(const void* data, std::size_t size) {
    Ref n;
    if (ssl_.native) {
        const WindowOver window(module_.window.get(), data, size);
        n = Ref::steal(PyObject_CallOneArg(ssl_.write.get(), window.get()));
    } else {
        Ref copy = Ref::steal(
            PyBytes_FromStringAndSize(static_cast<const char*>(data), static_cast<Py_ssize_t>(size)));
        if (copy) n = Ref::steal(PyObject_CallOneArg(ssl_.write.get(), copy.get()));
    }
    if (!n) {
        if (!PyErr_ExceptionMatches(ssl_.again.get())) return -1;
        PyErr_Clear();
        return 0;
    }
    const Py_ssize_t taken = PyLong_AsSsize_t(n.get());
    if (taken < 0 || static_cast<std::size_t>(taken) > size) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "write() took more than it was given");
        return -1;
    }
    gathered_ += static_cast<std::size_t>(taken);
    return taken;
}

bool Tls::push() {
    gathered_ = 0;
    if (!core_ || fields_.writing_paused) return true;
    Ref data = Ref::steal(PyObject_CallNoArgs(ssl_.drain.get()));
    if (!data) return false;
    if (!transport_ || PyObject_Size(data.get()) == 0) return true;
    // Records have been gathered here: who waits for the end of the turn learns of a lost connection later.
    if (stream_) return stream_->write(data.get()) && stream_->flush();
    return static_cast<bool>(Ref::steal(PyObject_CallMethod(transport_.get(), "write", "O", data.get())));
}

bool Tls::flush() {
    return push() && control_writing();
}

bool Tls::resume_writing() {
    fields_.writing_paused = 0;
    return send_queued();
}

Py_ssize_t Tls::write_buffer_size() {
    if (!core_) return 0;
    // What waits only for the end of data_received() is as good as sent.
    if (gathered_ > 0 && !push()) return -1;
    const Py_ssize_t encrypted = pending(ssl_.outgoing.get());
    return encrypted < 0 ? -1 : encrypted + static_cast<Py_ssize_t>(queued_.size());
}

bool Tls::control_writing() {
    if (!core_) return true;
    std::size_t n = queued_.size();
    if (fields_.writing_paused) {
        const Py_ssize_t encrypted = pending(ssl_.outgoing.get());
        if (encrypted < 0) return false;
        n += static_cast<std::size_t>(encrypted);
    }
    const auto size = static_cast<double>(n);
    if (fields_.app_writing_paused ? size > write_low : size < write_high || n == 0) return true;
    return call("_tell_app");
}

}  // namespace asioloop
