// The sending half of Datagram.
#include <cerrno>

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/failures.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/datagram.hpp"
#include "stage3_native_loop/native/net/view.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

constexpr const char* kWriteFailed = "Fatal write error on datagram transport";
// What gathers while a batch is delivered goes out at the latest when there is so much.
constexpr std::size_t kMostGathered = 64;
// What asyncio counts for a datagram besides its bytes, so that empty ones do not gather without end.
constexpr std::size_t kHeader = PY_VERSION_HEX >= 0x030C0000 ? 8 : 0;

bool would_block() noexcept {
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

bool refused_by_python() {
    return PyErr_ExceptionMatches(PyExc_BlockingIOError) || PyErr_ExceptionMatches(PyExc_InterruptedError);
}

}  // namespace

std::size_t Datagram::write_buffer_size() const noexcept {
    return refused_ ? out_.bytes() + out_.count() * kHeader : 0;
}

void Datagram::queue_write() {
    if (std::exchange(write_queued_, true)) return;
    core_->push_ready({new_reference(self_), nullptr, true, this});
}

bool Datagram::lost_write() {
    // As asyncio: silent at first, as a program cannot know at once; then it is told.
    constexpr int silent = 5;
    if (lost_writes_++ < silent) return true;
    return static_cast<bool>(Ref::steal(PyObject_CallMethod(self_, "_warn_lost_write", nullptr)));
}

bool Datagram::send_to(PyObject* data, PyObject* address) {
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) && !PyMemoryView_Check(data)) {
        if (Ref name = Ref::steal(PyType_GetName(Py_TYPE(data))))
            PyErr_Format(PyExc_TypeError, "data argument must be a bytes-like object, not %R", name.get());
        return false;
    }
    if (address_) {
        const int same = address == Py_None ? 1 : PyObject_RichCompareBool(address, address_.get(), Py_EQ);
        if (same == 0) PyErr_Format(PyExc_ValueError, "Invalid address: must be None or %S", address_.get());
        if (same <= 0) return false;
        address = address_.get();
    }
    if (!core_ || (lost_writes_ > 0 && address_)) return lost_write();
    Ref name = Ref::borrow(address);
    Address to = fixed_;
    const bool known =
        connected_ || fixed_.size > 0 || core_->datagrams().addresses().parse(family_, address, to);
    const bool native = kind_ != Kind::other && known;
    if (refused_ && !out_.empty()) return enqueue(data, native ? nullptr : address, to) && send_refused();
    if (!native) return send_gathered() && send_by_python(data, address, to);
    if (gathering_ && !core_->is_parents())
        return enqueue(data, nullptr, to) && (out_.count() < kMostGathered || send_gathered());
    return send_now(data, to);
}

bool Datagram::send_now(PyObject* data, const Address& to) {
    View view;
    if (!view.get(data)) return fatal(kWriteFailed);
    core_->metrics().writes.add();
    if (send_datagram(fd_, view.view.buf, static_cast<std::size_t>(view.view.len), to) >= 0) return true;
    if (!would_block()) return PyErr_SetFromErrno(PyExc_OSError), error_received();
    return enqueue(data, nullptr, to) && send_refused();
}

bool Datagram::send_by_python(PyObject* data, PyObject* name, const Address& to) {
    if (refused_) return enqueue(data, name, to) && send_refused();
    if (call_socket(data, name)) return true;
    if (refused_by_python()) {
        PyErr_Clear();
        return enqueue(data, name, to) && send_refused();
    }
    return PyErr_ExceptionMatches(PyExc_OSError) ? error_received() : fatal(kWriteFailed);
}

bool Datagram::call_socket(PyObject* data, PyObject* name) {
    Ref sock = sock_;
    return static_cast<bool>(Ref::steal(connected_
                                            ? PyObject_CallMethod(sock.get(), "send", "O", data)
                                            : PyObject_CallMethod(sock.get(), "sendto", "OO", data, name)));
}

bool Datagram::enqueue(PyObject* data, PyObject* name, const Address& to) {
    // What waits must not be changed by anybody.
    Ref piece = PyBytes_CheckExact(data) ? Ref::borrow(data) : Ref::steal(PyBytes_FromObject(data));
    if (!piece) return fatal(kWriteFailed);
    out_.add({std::move(piece), Ref::borrow(name), to});
    return true;
}

/// The kernel has no room for what is in out_: an edge will say when there is.
bool Datagram::send_refused() {
    if (lost_writes_ > 0) return out_.clear(), true;  // connection_lost() does not wait for it
    if (!std::exchange(refused_, true) && !wait_writable()) return false;
    keep_if_needed();
    return maybe_pause_protocol();
}

bool Datagram::wait_writable() {
    if (family_ == AF_UNIX && !connected_) {
        // It is the receiver that has no room, and of that the kernel tells nobody who is not connected to
        // it.
        constexpr double soon = 0.001;
        Ref callback = Ref::steal(PyObject_GetAttrString(self_, "_sendto_ready"));
        return callback &&
               Ref::steal(PyObject_CallMethod(loop_.get(), "call_later", "dO", soon, callback.get()));
    }
    write_context_ = Ref::steal(PyContext_CopyCurrent());
    if (!write_context_ || !watched()) return false;
    watch.want_write();
    return true;
}

/// What has gathered goes out, as far as there is room. Nothing is there, or all has been refused: no matter.
bool Datagram::send_gathered() {
    // The parent sends what was there before a fork. Of the child's own nothing gathers.
    if (core_ && core_->is_parents()) return true;
    while (!refused_ && !out_.empty()) {
        core_->metrics().writes.add();
        switch (out_.send(fd_, kind_ == Kind::udp)) {
            case DatagramQueue::Outcome::all_sent:
                break;
            case DatagramQueue::Outcome::refused:
            case DatagramQueue::Outcome::not_numeric:
                return send_refused();
            case DatagramQueue::Outcome::failed:
                PyErr_SetFromErrno(PyExc_OSError);
                out_.take();
                if (error_received()) break;
                // The program has failed; the others are not lost for that.
                refused_ = true;
                queue_write();
                return false;
        }
    }
    return true;
}

bool Datagram::on_writable() {
    if (!refused_ || lost_writes_ > 0) return true;
    core_->metrics().writes.add();
    const DatagramQueue::Outcome outcome = out_.send(fd_, kind_ == Kind::udp);
    if (outcome == DatagramQueue::Outcome::failed) {
        PyErr_SetFromErrno(PyExc_OSError);
        out_.take();
        queue_write();
        return error_received();
    }
    if (outcome == DatagramQueue::Outcome::not_numeric) {
        DatagramQueue::Item item = out_.take();
        if (!call_socket(item.data.get(), item.name.get())) {
            if (!refused_by_python()) {
                queue_write();
                return PyErr_ExceptionMatches(PyExc_OSError) ? error_received() : fatal(kWriteFailed);
            }
            PyErr_Clear();
            out_.put_back(std::move(item));
            if (!wait_writable()) return false;
        } else {
            queue_write();
        }
    } else if (outcome == DatagramQueue::Outcome::refused && !wait_writable()) {
        return false;
    }
    if (outcome == DatagramQueue::Outcome::all_sent) refused_ = false;
    if (!maybe_resume_protocol()) return false;
    if (refused_ || lost_writes_ > 0) return true;
    keep_if_needed();
    if (!closing_) return true;
    ++lost_writes_;  // connection_lost() may call abort(): it is told once all the same
    return static_cast<bool>(Ref::steal(PyObject_CallMethod(self_, "_call_connection_lost", "O", Py_None)));
}

// --- flow control
// -----------------------------------------------------------------------------------------------

bool Datagram::set_limits(PyObject* high, PyObject* low) {
    const double h = PyFloat_AsDouble(high), l = PyFloat_AsDouble(low);
    if (PyErr_Occurred()) return false;
    high_ = h;
    low_ = l;
    high_object_ = Ref::borrow(high);
    low_object_ = Ref::borrow(low);
    return maybe_pause_protocol();
}

bool Datagram::maybe_pause_protocol() {
    if (static_cast<double>(write_buffer_size()) <= high_ || protocol_paused_) return true;
    protocol_paused_ = true;
    return flow_callback("pause_writing", "protocol.pause_writing() failed");
}

bool Datagram::maybe_resume_protocol() {
    if (!protocol_paused_ || static_cast<double>(write_buffer_size()) > low_) return true;
    protocol_paused_ = false;
    return flow_callback("resume_writing", "protocol.resume_writing() failed");
}

bool Datagram::flow_callback(const char* method, const char* message) {
    if (Ref::steal(PyObject_CallMethod(protocol_.get(), method, nullptr))) return true;
    if (leaves_the_loop()) return false;
    asioserve::py::gil.assert_held();
    Ref error = asioserve::py::take_raised();
    return static_cast<bool>(
        Ref::steal(PyObject_CallMethod(self_, "_flow_failed", "sO", message, error.get())));
}

}  // namespace asioloop
