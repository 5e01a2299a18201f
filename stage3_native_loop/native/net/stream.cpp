#include "stage3_native_loop/native/net/stream.hpp"

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/run_called.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/streams.hpp"
#include "stage3_native_loop/native/net/tls.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

void Stream::clear() {
    // Not the loop, which the watch needs as long as there is one. Each field is empty before what was in it
    // goes, and perhaps runs code.
    native_ = nullptr;
    for (Ref* r : {&sock_, &protocol_, &empty_waiter_, &read_context_, &write_context_, &server}) r->reset();
    // The ready queue may hold these two themselves.
    for (Later* later : {opening_.get(), losing_.get()}) {
        if (!later) continue;
        for (Ref* r : {&later->context, &later->what, &later->waiter}) r->reset();
    }
}

int Stream::traverse(visitproc visit, void* arg) {
    if (const int r = keeps_module_.traverse(visit, arg)) return r;
    for (const Ref* r :
         {&loop_, &sock_, &protocol_, &empty_waiter_, &read_context_, &write_context_, &server})
        Py_VISIT(r->get());
    for (const Later* later : {opening_.get(), losing_.get()}) {
        if (!later) continue;
        for (const Ref* r : {&later->context, &later->what, &later->waiter}) Py_VISIT(r->get());
    }
    return 0;
}

// --- closing
// ----------------------------------------------------------------------------------------------------

bool Stream::close() {
    if (closing_) return true;
    if (!flush()) return false;
    if (closing_) return true;  // it could not be sent
    closing_ = true;
    reading_ = false;
    keep_if_needed();
    if (!out_.empty()) return true;
    ++lost_writes_;
    unwatch();
    return lose_soon(Py_None);
}

bool Stream::force_close(PyObject* exc) {
    if (lost_writes_ > 0) return true;
    if (!flush()) return false;
    if (lost_writes_ > 0) return true;  // it could not be sent
    out_.clear();
    closing_ = true;
    reading_ = false;
    ++lost_writes_;
    unwatch();
    return lose_soon(exc);
}

bool Stream::fatal(const char* message) {
    if (leaves_the_loop()) return false;
    asioserve::py::gil.assert_held();
    Ref error = asioserve::py::take_raised();
    return static_cast<bool>(
        Ref::steal(PyObject_CallMethod(self_, "_fatal_error", "Os", error.get(), message)));
}

// --- reading on and off
// -----------------------------------------------------------------------------------------

bool Stream::set_protocol(PyObject* protocol) {
    const int buffered = PyObject_IsInstance(protocol, module_.buffered_protocol.get());
    if (buffered < 0) return false;
    buffered_ = buffered != 0;
    protocol_connected_ = true;
    native_ = native_protocol(module_, protocol);
    protocol_ = Ref::borrow(protocol);
    return true;
}

bool Stream::start_reading() {
    if (!is_reading()) return true;
    read_context_ = Ref::steal(PyContext_CopyCurrent());
    return read_context_ && start_opened();
}

bool Stream::pause_reading() {
    if (!is_reading()) return true;
    paused_ = true;
    reading_ = false;
    keep_if_needed();
    return log_debug("pauses reading");
}

bool Stream::resume_reading() {
    if (closing_ || !paused_) return true;
    paused_ = false;
    return start_reading() && log_debug("resumes reading");
}

bool Stream::watched() {
    if (core_ && core_->closed()) return core_->closed_error();
    if (!core_) return PyErr_SetString(PyExc_RuntimeError, "Event loop is closed"), false;
    return watch || core_->streams().watch(*this);
}

void Stream::unwatch() {
    if (!watch) return;
    watch.stop(false);
    hang_up_watched_ = false;
    core_->streams().unwatch(*this);
}

void Stream::keep_if_needed() {
    if (watch) core_->streams().keep(*this, reading_ || !out_.empty());
}

// --- from the reactor and the ready queue
// -------------------------------------------------------------------------

void Stream::edge(EdgeWatch::Edge what) {
    if (what == EdgeWatch::Edge::write) {
        if (!out_.empty() && !std::exchange(write_queued_, true))
            core_->push_ready({new_reference(self_), nullptr, true, this});
        return;
    }
    maybe_readable_ = true;
    if (what == EdgeWatch::Edge::error) doubtful_ = true;
    if (reading_) queue_read();
}

bool Stream::run(bool write) {
    (write ? write_queued_ : read_queued_) = false;
    if (!core_) return true;  // lost meanwhile
    LoopCore& core = *core_;
    Ref loop = loop_;  // which may let go of it
    Ref context = write ? write_context_ : read_context_;
    const Called called{self_, write ? "_write_ready" : "_read_ready"};
    // Empty when somebody calls _read_ready() or _write_ready() who is not the loop.
    return run_called(module_, core, loop.get(), context.get(), called, [&] {
        if (write ? on_writable() : on_readable()) return true;
        // What it has left is not forgotten, if the program goes on: no edge would tell of it again.
        if (!write && reading_) {
            maybe_readable_ = true;
            queue_read();
        }
        return false;
    });
}

bool Stream::log_debug(const char* what) {
    return !core_ || !core_->debug || Ref::steal(PyObject_CallMethod(self_, "_log_debug", "s", what));
}

}  // namespace asioloop
