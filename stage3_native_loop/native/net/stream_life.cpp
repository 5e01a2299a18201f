// Beginning and end of a Stream.
#include <netinet/tcp.h>
#include <unistd.h>

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/aside.hpp"
#include "stage3_native_loop/native/core/failures.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/stream.hpp"
#include "stage3_native_loop/native/net/streams.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

Stream::~Stream() {
    if (!core_) return;
    // An object that has the socket closes it when it goes.
    if (open_ && !sock_) ::close(fd_);
    core_->streams().abandon(*this);
}

bool Stream::open(PyObject* loop, const Connection& connection, PyObject* protocol, PyObject* told_server,
                  PyObject* waiter) {
    if (fd_ >= 0) return PyErr_SetString(PyExc_RuntimeError, "the transport is open already"), false;
    if (!PyObject_TypeCheck(loop, reinterpret_cast<PyTypeObject*>(module_.loop_type.get()))) {
        PyErr_Format(PyExc_TypeError, "an asioloop.Loop is needed, not %R", loop);
        return false;
    }
    LoopCore* const core = core_of(loop);
    if (core->closed()) return core->closed_error();
    if (connection.fd < 0) {
        PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %d", connection.fd);
        return false;
    }
    if (!set_protocol(protocol)) return false;
    if (told_server != Py_None) {
#if PY_VERSION_HEX >= 0x030D0000
        const Ref attached =
            Ref::steal(PyObject_CallMethodOneArg(told_server, module_.names.attach.get(), self_));
#else
        const Ref attached = Ref::steal(PyObject_CallMethodNoArgs(told_server, module_.names.attach.get()));
#endif
        // What a server has refused it must not be told to let go of.
        if (!attached) return false;
        server = Ref::borrow(told_server);
    }
    loop_ = Ref::borrow(loop);
    core_ = core;
    fd_ = connection.fd;
    kind_ = connection.kind;
    if (connection.sock) sock_ = Ref::borrow(connection.sock);
    bool ok = true;
    try {
        name_.ask(fd_, &::getsockname);
        if (connection.peer)
            peer_name_ = std::move(*connection.peer);
        else
            peer_name_.ask(fd_, &::getpeername);
        core_->streams().add(*this);
        ok = open_soon(protocol, waiter);
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
        ok = false;
    }
    if (ok) {
        const int on = 1;
        open_ = true;
        if (connection.no_delay) ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        return true;
    }
    const Aside error;
    if (!leave_server()) PyErr_WriteUnraisable(self_);
    core_->streams().remove(*this);
    core_ = nullptr;
    fd_ = -1;
    clear();
    return false;
}

bool Stream::open_soon(PyObject* protocol, PyObject* waiter) {
    // Asked for now: a protocol that has none is its maker's error.
    Ref made = Ref::steal(PyObject_GetAttr(protocol, module_.names.connection_made.get()));
    if (!made) return false;
    if (core_->debug) {  // one by one, as handles that show up
        if (!Ref::steal(PyObject_CallMethod(loop_.get(), "call_soon", "OO", made.get(), self_)) ||
            !call_soon("_start_reading", nullptr))
            return false;
        return waiter == Py_None || call_soon("_wake_waiter", waiter);
    }
    opening_ = std::make_unique<Later>(*this);
    opening_->context = Ref::steal(PyContext_CopyCurrent());
    // Its own: what connection_made() sets there is not seen by what reads.
    read_context_ = Ref::steal(PyContext_CopyCurrent());
    if (!opening_->context || !read_context_) return false;
    opening_->what = std::move(made);
    opening_->waiter = waiter == Py_None ? Ref() : Ref::borrow(waiter);
    core_->push_ready({new_reference(self_), nullptr, false, opening_.get()});
    return true;
}

bool Stream::call_soon(const char* method, PyObject* argument) {
    Ref callback = Ref::steal(PyObject_GetAttrString(self_, method));
    if (!callback) return false;
    return static_cast<bool>(
        Ref::steal(argument ? PyObject_CallMethod(loop_.get(), "call_soon", "OO", callback.get(), argument)
                            : PyObject_CallMethod(loop_.get(), "call_soon", "O", callback.get())));
}

bool Stream::run_opening() {
    const std::unique_ptr<Later> now = std::move(opening_);
    if (!now || !core_) return true;
    const Ref loop = loop_;
    // In this order: nothing is received before connection_made(), and nobody is told of it before that.
    const bool made = call_made(*now);
    if (core_ && core_->is_parents()) return made;  // a forked child has come back: the rest is the parent's
    const Aside interrupt;  // after which the program may go on: the rest is done all the same
    const bool started = start_opened() || report_failure(module_, loop.get(), {self_, "_start_reading"});
    const Aside another;
    const bool told = !now->waiter || tell_waiter(now->waiter.get()) ||
                      report_failure(module_, loop.get(), {self_, "_wake_waiter", now->waiter.get()});
    return made && started && told;
}

bool Stream::start_opened() {
    if (reading_ || !is_reading()) return true;
    if (!watched()) return false;
    reading_ = true;
    keep_if_needed();
    if (maybe_readable_) queue_read();
    return true;
}

bool Stream::call_made(Later& now) {
    if (PyContext_Enter(now.context.get()) < 0) return false;
    Ref done = Ref::steal(PyObject_CallOneArg(now.what.get(), self_));
    leave_context(now.context.get(), self_);
    if (done) return true;
    if (leaves_the_loop()) return false;
    asioserve::py::gil.assert_held();
    const Ref error = asioserve::py::take_raised();
    const Ref loop = loop_;
    const Ref args = Ref::steal(PyTuple_Pack(1, self_));
    const Ref handle =
        args ? module_.handles.make(loop.get(), now.what.get(), args.get(), now.context.get()) : Ref();
    return report_failure(loop.get(), handle.get(), error, self_);
}

bool Stream::tell_waiter(PyObject* waiter) {
    const Ref done = Ref::steal(PyObject_CallMethodNoArgs(waiter, module_.names.done.get()));
    const int is_done = done ? PyObject_IsTrue(done.get()) : -1;
    if (is_done != 0) return is_done > 0;
    return static_cast<bool>(
        Ref::steal(PyObject_CallMethodOneArg(waiter, module_.names.set_result.get(), Py_None)));
}

bool Stream::lose_soon(PyObject* exc) {
    // A forked child may close what it has inherited; there is no turn to come.
    if (core_ && core_->is_parents()) return true;
    if (core_ && core_->closed()) return core_->closed_error();
    if (!core_) return PyErr_SetString(PyExc_RuntimeError, "Event loop is closed"), false;
    if (core_->debug) return call_soon("_call_connection_lost", exc);
    losing_ = std::make_unique<Later>(*this);
    losing_->context = Ref::steal(PyContext_CopyCurrent());
    if (!losing_->context) return false;
    losing_->what = Ref::borrow(exc);
    core_->push_ready({new_reference(self_), nullptr, true, losing_.get()});
    return true;
}

bool Stream::run_losing() {
    const std::unique_ptr<Later> now = std::move(losing_);
    if (!now || !core_) return true;
    const Ref loop = loop_;
    const Called called{self_, "_call_connection_lost", now->what.get()};
    if (PyContext_Enter(now->context.get()) < 0) return report_failure(module_, loop.get(), called);
    const bool ok = lose(now->what.get());
    leave_context(now->context.get(), self_);
    return ok || report_failure(module_, loop.get(), called);
}

bool Stream::lose(PyObject* exc) {
    if (!core_) return true;
    const Ref keep = Ref::borrow(self_), protocol = protocol_, waiter = empty_waiter_, loop = loop_;
    bool ok = true;
    if (protocol_connected_ && protocol)
        ok = static_cast<bool>(
            Ref::steal(PyObject_CallMethodOneArg(protocol.get(), module_.names.connection_lost.get(), exc)));
    if (!core_) return ok;  // it has come here by another way
    const Aside error;
    closing_ = true;
    reading_ = false;
    if (lost_writes_ == 0) lost_writes_ = 1;
    out_.clear();
    unwatch();
    core_->streams().remove(*this);
    if (!close_socket() || !leave_server()) PyErr_WriteUnraisable(self_);
    core_ = nullptr;
    clear();
    loop_.reset();
    if (waiter) {
        const Ref why =
            Ref::steal(PyObject_CallFunction(PyExc_ConnectionError, "s", "Connection is closed by peer"));
        if (!why || !Ref::steal(PyObject_CallMethod(self_, "_fail_waiter", "OO", waiter.get(), why.get())))
            PyErr_WriteUnraisable(self_);
    }
    return ok;
}

bool Stream::close_socket() {
    if (!std::exchange(open_, false)) return true;
    if (const Ref sock = std::move(sock_))
        return static_cast<bool>(Ref::steal(PyObject_CallMethod(sock.get(), "close", nullptr)));
    ::close(fd_);
    return true;
}

bool Stream::leave_server() {
    const Ref left = std::move(server);
    if (!left) return true;
#if PY_VERSION_HEX >= 0x030D0000
    return static_cast<bool>(
        Ref::steal(PyObject_CallMethodOneArg(left.get(), module_.names.detach.get(), self_)));
#else
    return static_cast<bool>(Ref::steal(PyObject_CallMethodNoArgs(left.get(), module_.names.detach.get())));
#endif
}

}  // namespace asioloop
