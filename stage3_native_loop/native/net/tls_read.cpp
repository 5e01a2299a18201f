// The reading half of Tls.
#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/tls.hpp"
#include "stage3_native_loop/native/net/window.hpp"

namespace asioloop {

using asioserve::py::Ref;

bool Tls::received(char* data, std::size_t size) {
    if (!core_) return true;
    {
        const WindowOver window(module_.window.get(), data, size);
        if (!Ref::steal(PyObject_CallOneArg(ssl_.feed.get(), window.get()))) return false;
    }
    frames_.received({data, size});
    return at() == State::wrapped ? read() : call("_advance");
}

bool Tls::read() {
    if (!core_ || !may_read()) return true;
    if (!fields_.app_reading_paused) {
        ++reading_;
        bool ok = read_all();
        --reading_;
        Ref error;
        asioserve::py::gil.assert_held();
        if (!ok) error = asioserve::py::take_raised();
        // Also what was written before it failed, as the program cannot know that it had to wait.
        ok = encrypt_queued() && flush();
        if (error) {
            PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.get())), error.get());
            ok = false;
        }
        if (!ok) return fatal();
    }
    return control_reading() || fatal();
}

bool Tls::read_all() {
    bool more = frames_.any();
    while (more) {
        more = false;
        if (!(buffered_ ? read_into_buffer(more) : read_data(more))) return false;
        more = more && may_read() && !fields_.app_reading_paused;
    }
    return true;
}

bool Tls::read_data(bool& more) {
    const std::span<char> to = core_->streams().buffer();
    const Filled filled = fill(to.data(), to.size());
    Ref error;
    asioserve::py::gil.assert_held();
    if (filled.end == End::failed) error = asioserve::py::take_raised();
    if (filled.size > 0) {
        Ref data = Ref::steal(PyBytes_FromStringAndSize(to.data(), static_cast<Py_ssize_t>(filled.size)));
        Ref protocol = protocol_;  // which may put another in its place
        if (!data ||
            !Ref::steal(PyObject_CallMethodOneArg(protocol.get(), module_.data_received.get(), data.get())))
            return false;
    }
    return ended(filled.end, std::move(error), more);
}

bool Tls::read_into_buffer(bool& more) {
    Ref protocol = protocol_;  // which may put another in its place
    Ref hint = Ref::steal(PyLong_FromSsize_t(pending(ssl_.incoming.get())));
    if (PyErr_Occurred()) return false;
    Ref buffer = Ref::steal(PyObject_CallMethodOneArg(protocol.get(), module_.get_buffer.get(), hint.get()));
    Py_buffer view;
    if (!buffer || PyObject_GetBuffer(buffer.get(), &view, PyBUF_WRITABLE) < 0) return false;
    if (view.len == 0) {
        PyBuffer_Release(&view);
        return PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer"), false;
    }
    // get_buffer() may have ended the connection.
    const bool still = may_read();
    const Filled filled = still ? fill(static_cast<char*>(view.buf), static_cast<std::size_t>(view.len))
                                : Filled{0, End::drained};
    Ref error;
    asioserve::py::gil.assert_held();
    if (filled.end == End::failed) error = asioserve::py::take_raised();
    PyBuffer_Release(&view);
    if (filled.size > 0) {
        Ref count = Ref::steal(PyLong_FromSize_t(filled.size));
        if (!count ||
            !Ref::steal(PyObject_CallMethodOneArg(protocol.get(), module_.buffer_updated.get(), count.get())))
            return false;
    }
    return ended(filled.end, std::move(error), more);
}

/// What comes after the data.
bool Tls::ended(End end, Ref error, bool& more) {
    if (error) {
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.get())), error.get());
        return false;
    }
    more = end == End::full;
    return end != End::eof || (call("_call_eof_received") && call("_start_shutdown"));
}

/// Decrypts records one after the other, as far as there are any and there is room.
Tls::Filled Tls::fill(char* to, std::size_t room) {
    std::size_t size = 0;
    while (size < room) {
        if (!frames_.any()) return {size, End::drained};
        const Py_ssize_t n = decrypt(to + size, room - size);
        if (n < 0) {
            if (!PyErr_ExceptionMatches(ssl_.again.get())) return {size, End::failed};
            PyErr_Clear();
            frames_.none();
            return {size, End::drained};
        }
        if (n == 0) return {size, End::eof};
        size += static_cast<std::size_t>(n);
        // What filled the room may be a part of a record.
        if (size < room) frames_.read_one();
    }
    return {size, End::full};
}

/// One record, or less. 0: the peer's close_notify; -1: with an exception set.
Py_ssize_t Tls::decrypt(char* to, std::size_t room) {
    Ref wanted = Ref::steal(PyLong_FromSize_t(room));
    if (!wanted) return -1;
    if (ssl_.native) {
        const WindowOver window(module_.window.get(), to, room);
        PyObject* const args[] = {wanted.get(), window.get()};
        Ref n = Ref::steal(PyObject_Vectorcall(ssl_.read.get(), args, 2, nullptr));
        return n ? PyLong_AsSsize_t(n.get()) : -1;
    }
    Ref data = Ref::steal(PyObject_CallOneArg(ssl_.read.get(), wanted.get()));
    Py_buffer view;
    if (!data || PyObject_GetBuffer(data.get(), &view, PyBUF_SIMPLE) < 0) return -1;
    Py_ssize_t n = view.len;
    if (static_cast<std::size_t>(n) <= room)
        std::copy_n(static_cast<const char*>(view.buf), n, to);
    else
        n = -1;
    PyBuffer_Release(&view);
    if (n < 0) PyErr_SetString(PyExc_ValueError, "read() returned more than was asked for");
    return n;
}

Py_ssize_t Tls::pending(PyObject* bio) {
    Ref n = Ref::steal(PyObject_GetAttr(bio, module_.pending.get()));
    return n ? PyLong_AsSsize_t(n.get()) : -1;
}

bool Tls::control_reading() {
    if (!core_) return true;
    // All that came was decrypted: nothing to count.
    if (!fields_.app_reading_paused && !fields_.reading_paused) return true;
    const Py_ssize_t n = pending(ssl_.incoming.get());
    if (n < 0) return false;
    const auto size = static_cast<double>(n);
    if (fields_.reading_paused ? size > read_low : size < read_high) return true;
    return call("_tell_transport");
}

}  // namespace asioloop
