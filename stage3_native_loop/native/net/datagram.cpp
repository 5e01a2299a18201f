#include "stage3_native_loop/native/net/datagram.hpp"

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/run_called.hpp"
#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

Datagram::~Datagram() {
    if (watch) core_->datagrams().abandon(*this);
}

bool Datagram::open(PyObject* loop, PyObject* sock, int fd, int family, Kind kind, PyObject* address,
                    bool connected) {
    if (fd_ >= 0) return PyErr_SetString(PyExc_RuntimeError, "the transport is open already"), false;
    if (!PyObject_TypeCheck(loop, reinterpret_cast<PyTypeObject*>(module_.loop_type.get()))) {
        PyErr_Format(PyExc_TypeError, "an asioloop.Loop is needed, not %R", loop);
        return false;
    }
    core_ = core_of(loop);
    loop_ = Ref::borrow(loop);
    sock_ = Ref::borrow(sock);
    fd_ = fd;
    family_ = family;
    kind_ = kind;
    connected_ = connected;
    if (address != Py_None) address_ = Ref::borrow(address);
    if (address_ && !connected_ && kind_ != Kind::other) parse_address(family_, address, fixed_);
    return true;
}

Ref Datagram::dispose() {
    closing_ = true;
    reading_ = false;
    if (lost_writes_ == 0) lost_writes_ = 1;
    out_.clear();
    arrivals_.clear();
    next_arrival_ = 0;
    unwatch();
    core_ = nullptr;
    Ref sock = std::move(sock_);
    clear();
    loop_.reset();
    return sock;
}

void Datagram::clear() {
    // Not the loop, which the watch needs as long as there is one. Each field is empty before what was in it
    // goes, and perhaps runs code.
    for (Ref* r : {&sock_, &protocol_, &read_context_, &write_context_}) r->reset();
}

int Datagram::traverse(visitproc visit, void* arg) {
    if (const int r = keeps_module_.traverse(visit, arg)) return r;
    for (const Ref* r : {&loop_, &sock_, &protocol_, &address_, &read_context_, &write_context_})
        Py_VISIT(r->get());
    return out_.traverse(visit, arg);
}

// --- closing
// ----------------------------------------------------------------------------------------------------

bool Datagram::close() {
    if (closing_) return true;
    closing_ = true;
    reading_ = false;
    const bool ok = send_gathered();
    keep_if_needed();
    if (!out_.empty() || lost_writes_ > 0) return ok;  // error_received() may have aborted it
    ++lost_writes_;
    unwatch();
    return ok && call_later_in_turn("_call_connection_lost", Py_None);
}

bool Datagram::force_close(PyObject* exc) {
    if (lost_writes_ > 0) return true;
    const bool ok = send_gathered();  // to the program these are sent already
    if (lost_writes_ > 0) return ok;
    out_.clear();
    closing_ = true;
    reading_ = false;
    ++lost_writes_;
    unwatch();
    return ok && call_later_in_turn("_call_connection_lost", exc);
}

bool Datagram::call_later_in_turn(const char* method, PyObject* argument) {
    // A forked child may close what it has inherited; there is no turn to come.
    if (core_ && core_->is_parents()) return true;
    if (!core_) return PyErr_SetString(PyExc_RuntimeError, "Event loop is closed"), false;
    Ref callback = Ref::steal(PyObject_GetAttrString(self_, method));
    return callback &&
           Ref::steal(PyObject_CallMethod(loop_.get(), "call_soon", "OO", callback.get(), argument));
}

bool Datagram::fatal(const char* message) {
    if (leaves_the_loop()) return false;
    asioserve::py::gil.assert_held();
    Ref error = asioserve::py::take_raised();
    return static_cast<bool>(
        Ref::steal(PyObject_CallMethod(self_, "_fatal_error", "Os", error.get(), message)));
}

/// The OSError that is set goes to the protocol.
bool Datagram::error_received() {
    asioserve::py::gil.assert_held();
    Ref error = asioserve::py::take_raised();
    Ref protocol = protocol_;
    return Ref::steal(PyObject_CallMethod(protocol.get(), "error_received", "O", error.get())) ? true : false;
}

// --- reading on and off
// -----------------------------------------------------------------------------------------

void Datagram::set_protocol(PyObject* protocol) {
    protocol_connected_ = true;
    protocol_ = Ref::borrow(protocol);
}

bool Datagram::start_reading() {
    if (!is_reading()) return true;
    read_context_ = Ref::steal(PyContext_CopyCurrent());
    if (!read_context_ || !watched()) return false;
    reading_ = true;
    keep_if_needed();
    if (maybe_readable_ || next_arrival_ < arrivals_.size()) queue_read();
    return true;
}

bool Datagram::pause_reading() {
    if (!is_reading()) return true;
    paused_ = true;
    reading_ = false;
    keep_if_needed();
    return log_debug("pauses reading");
}

bool Datagram::resume_reading() {
    if (closing_ || !paused_) return true;
    paused_ = false;
    return start_reading() && log_debug("resumes reading");
}

bool Datagram::watched() {
    if (core_ && core_->closed()) return core_->closed_error();
    if (!core_) return PyErr_SetString(PyExc_RuntimeError, "Event loop is closed"), false;
    return watch || core_->datagrams().add(*this);
}

void Datagram::unwatch() {
    if (!watch) return;
    watch.stop(false);
    core_->datagrams().remove(*this);
}

void Datagram::keep_if_needed() {
    if (watch) core_->datagrams().keep(*this, reading_ || !out_.empty());
}

// --- from the reactor and the ready queue
// -------------------------------------------------------------------------

void Datagram::edge(EdgeWatch::Edge what) {
    if (what == EdgeWatch::Edge::write) {
        if (refused_) queue_write();
        return;
    }
    maybe_readable_ = true;
    if (reading_) queue_read();
}

bool Datagram::ready(bool write) {
    if (!core_) return true;  // closed meanwhile
    return write ? on_writable() : on_readable();
}

bool Datagram::run(bool write) {
    (write ? write_queued_ : read_queued_) = false;
    if (!core_) return true;
    LoopCore& core = *core_;
    Ref loop = loop_;  // which may let go of it
    Ref context = write ? write_context_ : read_context_;
    const Called called{self_, write ? "_sendto_ready" : "_read_ready"};
    return run_called(module_, core, loop.get(), context.get(), called, [&] {
        if (ready(write)) return true;
        // What is left is not forgotten, if the program goes on: no edge would tell of it again.
        if (!write && reading_) {
            maybe_readable_ = true;
            queue_read();
        }
        return false;
    });
}

bool Datagram::log_debug(const char* what) {
    return !core_ || !core_->debug || Ref::steal(PyObject_CallMethod(self_, "_log_debug", "s", what));
}

}  // namespace asioloop
