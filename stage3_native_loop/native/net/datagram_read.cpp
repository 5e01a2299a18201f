// The receiving half of Datagram.
#include <cerrno>

#include "stage3_native_loop/native/core/aside.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/datagram.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {
constexpr const char* kReadFailed = "Fatal read error on datagram transport";
}

void Datagram::queue_read() {
    if (std::exchange(read_queued_, true)) return;
    core_->push_ready({new_reference(self_), nullptr, false, this});
}

bool Datagram::on_readable() {
    if (lost_writes_ > 0 || !reading_ || !protocol_) return true;
    // Left from a batch in which the program paused or failed.
    if (next_arrival_ < arrivals_.size()) return deliver_all();
    return kind_ == Kind::other ? receive_by_python() : receive();
}

bool Datagram::receive() {
    const std::size_t size = kind_ == Kind::unix_domain ? Datagrams::large_size : Datagrams::small_size;
    const int n = core_->datagrams().receive(fd_, size);
    if (n < 0) {
        maybe_readable_ = errno != EAGAIN && errno != EWOULDBLOCK;
        if (!maybe_readable_) return true;
        // Behind an error there may be datagrams; behind a descriptor that somebody has closed there is
        // nothing.
        if (errno != EBADF) queue_read();
        PyErr_SetFromErrno(PyExc_OSError);
        return error_received();
    }
    maybe_readable_ = n == Datagrams::capacity(size);
    // All of them become objects first: whatever the program does while it is told, the buffers are free
    // again.
    if (n == 1) {
        Arrival arrival;
        return receive_one(0, arrival) ? deliver(std::move(arrival)) : fatal(kReadFailed);
    }
    arrivals_.resize(static_cast<std::size_t>(n));
    next_arrival_ = 0;
    for (int i = 0; i < n; ++i) {
        if (receive_one(i, arrivals_[static_cast<std::size_t>(i)])) continue;
        arrivals_.clear();
        return fatal(kReadFailed);
    }
    return deliver_all();
}

bool Datagram::receive_one(int i, Arrival& arrival) {
    const Datagrams::Received got = core_->datagrams().received(i);
    arrival.data =
        Ref::steal(PyBytes_FromStringAndSize(got.data.data(), static_cast<Py_ssize_t>(got.data.size())));
    if (arrival.data) arrival.from = core_->datagrams().addresses().object_of(got.from);
    return static_cast<bool>(arrival.from);
}

bool Datagram::receive_by_python() {
    Ref got =
        Ref::steal(PyObject_CallMethod(sock_.get(), "recvfrom", "n", Py_ssize_t{Datagrams::large_size}));
    if (got && (!PyTuple_Check(got.get()) || PyTuple_GET_SIZE(got.get()) != 2)) {
        PyErr_Format(PyExc_TypeError, "recvfrom() returned %R", got.get());
        got.reset();
    }
    if (got) {
        queue_read();
        return deliver(
            {Ref::borrow(PyTuple_GET_ITEM(got.get(), 0)), Ref::borrow(PyTuple_GET_ITEM(got.get(), 1))});
    }
    if (PyErr_ExceptionMatches(PyExc_BlockingIOError) || PyErr_ExceptionMatches(PyExc_InterruptedError)) {
        PyErr_Clear();
        maybe_readable_ = false;
        return true;
    }
    if (!PyErr_ExceptionMatches(PyExc_OSError)) return fatal(kReadFailed);
    queue_read();
    return error_received();
}

bool Datagram::deliver(Arrival arrival) {
    Ref protocol = protocol_;  // which may put another in its place
    PyObject* const arguments[] = {protocol.get(), arrival.data.get(), arrival.from.get()};
    return static_cast<bool>(
        Ref::steal(PyObject_VectorcallMethod(module_.datagram_received.get(), arguments, 3, nullptr)));
}

bool Datagram::deliver_all() {
    const bool outermost = !std::exchange(gathering_, true);
    bool ok = true;
    // What is left when a forked child comes back is the parent's.
    while (ok && next_arrival_ < arrivals_.size() && reading_ && !core_->is_parents()) {
        Arrival arrival = std::move(arrivals_[next_arrival_++]);
        ok = deliver(std::move(arrival));
    }
    if (next_arrival_ >= arrivals_.size() || closing_) {
        arrivals_.clear();
        next_arrival_ = 0;
    }
    if (outermost) {
        const Aside error;  // of two errors the first is told
        const bool sent = send_gathered();
        gathering_ = false;
        if (ok) ok = sent;
    }
    if (reading_ && (maybe_readable_ || !arrivals_.empty())) queue_read();
    return ok;
}

}  // namespace asioloop
