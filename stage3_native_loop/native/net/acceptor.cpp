#include "stage3_native_loop/native/net/acceptor.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <asio/system_error.hpp>
#include <cerrno>

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/aside.hpp"
#include "stage3_native_loop/native/core/run_called.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/streams.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

/// accept4() of one connection, with its peer.
int accept_one(int fd, SocketName& peer) {
    sockaddr_storage storage;
    int got = -1;
    do {
        socklen_t size = sizeof(storage);
        auto* const address = reinterpret_cast<sockaddr*>(&storage);
        got = ::accept4(fd, address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (got >= 0) peer.set(address, size);
        // ECONNABORTED: whoever came has left.
    } while (got < 0 && (errno == EINTR || errno == ECONNABORTED));
    return got;
}

}  // namespace

bool Acceptor::start(const Parts& parts, const Ways& ways) {
    if (core_) return PyErr_SetString(PyExc_RuntimeError, "it accepts already"), false;
    if (!PyObject_TypeCheck(parts.loop, reinterpret_cast<PyTypeObject*>(module_.loop_type.get()))) {
        PyErr_Format(PyExc_TypeError, "an asioloop.Loop is needed, not %R", parts.loop);
        return false;
    }
    LoopCore* const core = core_of(parts.loop);
    if (core->closed()) return core->closed_error();
    if (!core->in_own_process()) {
        PyErr_SetString(PyExc_RuntimeError, "this event loop is the parent process's");
        return false;
    }
    context_ = Ref::steal(PyContext_CopyCurrent());
    if (!context_) return false;
    loop_ = Ref::borrow(parts.loop);
    class_ = Ref::borrow(parts.transport_class);
    factory_ = Ref::borrow(parts.factory);
    server_ = Ref::borrow(parts.server);
    by_hand_ = Ref::borrow(parts.by_hand);
    failed_ = Ref::borrow(parts.failed);
    ways_ = ways;
    core_ = core;
    try {
        watch_ = EdgeWatch(*core, ways.fd, *this);
        core->streams().add(*this);
    } catch (const asio::system_error& e) {
        stop(false);
        errno = e.code().value();
        PyErr_SetFromErrno(PyExc_OSError);
        return false;
    } catch (const std::bad_alloc&) {
        stop(false);
        PyErr_NoMemory();
        return false;
    }
    return true;
}

void Acceptor::stop(bool closed) noexcept {
    if (!core_) return;
    watch_.stop(closed);
    core_->streams().remove(*this);
    core_ = nullptr;
    clear();
}

void Acceptor::resume() {
    if (core_) queue();
}

void Acceptor::edge(EdgeWatch::Edge) {
    queue();
}

void Acceptor::queue() {
    if (std::exchange(queued_, true)) return;
    core_->push_ready({new_reference(self_), nullptr, false, this});
}

bool Acceptor::run(bool) {
    queued_ = false;
    if (!core_) return true;  // stopped meanwhile
    LoopCore& core = *core_;
    const Ref loop = loop_;  // which may let go of it
    const Called called{self_, "accept"};
    return run_called(module_, core, loop.get(), nullptr, called, [this] { return accept_batch(); });
}

bool Acceptor::accept_batch() {
    SocketName peer;
    for (int i = 0; i < ways_.batch; ++i) {
        const int fd = accept_one(ways_.fd, peer);
        if (fd < 0) return errno == EAGAIN || errno == EWOULDBLOCK || accept_failed(errno);
        failing_ = false;
        core_->metrics().accepts.add();
        const bool ok = accepted(fd, peer);
        // The program has closed the server; or a forked child has come back, and who waits is the parent's.
        if (!core_ || core_->is_parents()) return ok;
        if (!ok) {
            queue();
            return false;
        }
    }
    queue();
    return true;
}

bool Acceptor::accept_failed(int error) {
    errno = error;
    PyErr_SetFromErrno(PyExc_OSError);
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
        asioserve::py::gil.assert_held();
        const Ref exc = asioserve::py::take_raised();
        const Ref failed = failed_;
        return static_cast<bool>(Ref::steal(PyObject_CallOneArg(failed.get(), exc.get())));
    }
    // The network says why one connection has failed; others may wait behind it. Twice: it is the socket's
    // own.
    if (!std::exchange(failing_, true)) queue();
    return false;
}

bool Acceptor::accepted(int fd, SocketName& peer) {
    Ref context = Ref::steal(PyContext_Copy(context_.get()));
    if (!context || PyContext_Enter(context.get()) < 0) {
        ::close(fd);
        return false;
    }
    const bool ok = ways_.all_by_hand || core_->debug ? hand_over(fd, peer) : make_transport(fd, peer);
    leave_context(context.get(), self_);
    return ok;
}

bool Acceptor::make_transport(int fd, SocketName& peer) {
    // Shared, as the program may stop it.
    const Ref factory = factory_, loop = loop_, server = server_, transport_class = class_;
    const Ref protocol = Ref::steal(PyObject_CallNoArgs(factory.get()));
    if (protocol) {
        const Stream::Connection connection{fd, ways_.kind, ways_.no_delay, nullptr, &peer};
        if (make_stream(transport_class.get(), loop.get(), connection, protocol.get(), server.get(), Py_None))
            return true;
    }
    ::close(fd);
    if (leaves_the_loop()) return false;
    PyErr_Clear();  // as asyncio, which tells only in debug mode
    return true;
}

bool Acceptor::hand_over(int fd, const SocketName& peer) {
    const Ref address = peer.object();
    if (!address) return ::close(fd), false;
    const Ref by_hand = by_hand_;
    return static_cast<bool>(Ref::steal(PyObject_CallFunction(by_hand.get(), "iO", fd, address.get())));
}

int Acceptor::traverse(visitproc visit, void* arg) {
    if (const int r = keeps_module_.traverse(visit, arg)) return r;
    for (const Ref* r : {&loop_, &class_, &factory_, &server_, &by_hand_, &failed_, &context_})
        Py_VISIT(r->get());
    return 0;
}

void Acceptor::clear() noexcept {
    stop(false);
    // Each is empty before what was in it goes, and perhaps runs code.
    for (Ref* r : {&loop_, &class_, &factory_, &server_, &by_hand_, &failed_, &context_}) r->reset();
}

}  // namespace asioloop
