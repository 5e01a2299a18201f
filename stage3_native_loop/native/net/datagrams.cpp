#include "stage3_native_loop/native/net/datagrams.hpp"

#include <asio/system_error.hpp>

#include <array>
#include <cerrno>

#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/datagram.hpp"

namespace asioloop {

using asioserve::py::Ref;

/// The arguments of recvmmsg(), made once.
struct Datagrams::Slots {
    Slots() {
        for (std::size_t i = 0; i < most; ++i) {
            messages[i] = {};
            msghdr& header = messages[i].msg_hdr;
            header.msg_name = &addresses[i].any;
            header.msg_namelen = Address::capacity;
            header.msg_iov = &buffers[i];
            header.msg_iovlen = 1;
        }
        cut(small_size);
    }

    void cut(std::size_t size) {
        if (size == size_of_each) return;
        size_of_each = size;
        for (std::size_t i = 0; i * size < most * small_size; ++i) buffers[i] = {&room[i * size], size};
    }

    std::array<mmsghdr, most> messages;
    std::array<iovec, most> buffers;
    std::array<Address, most> addresses;
    // Only what datagrams fill is ever touched, and so in memory.
    std::unique_ptr<char[]> room = std::make_unique_for_overwrite<char[]>(most * small_size);
    std::size_t size_of_each = 0;
};

void Datagrams::FreeSlots::operator()(Slots* slots) const noexcept {
    delete slots;
}

int Datagrams::receive(int fd, std::size_t size) {
    if (!slots_) slots_.reset(new Slots);
    Slots& s = *slots_;
    s.cut(size);
    int n = 0;
    loop_.metrics().reads.add();
    do {
        n = ::recvmmsg(fd, s.messages.data(), static_cast<unsigned>(capacity(size)), MSG_DONTWAIT, nullptr);
    } while (n < 0 && errno == EINTR);
    for (int i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        s.addresses[at].size = std::exchange(s.messages[at].msg_hdr.msg_namelen, Address::capacity);
    }
    return n;
}

Datagrams::Received Datagrams::received(int i) const noexcept {
    const auto at = static_cast<std::size_t>(i);
    return {{static_cast<const char*>(slots_->buffers[at].iov_base), slots_->messages[at].msg_len},
            slots_->addresses[at]};
}

bool Datagrams::add(Datagram& datagram) {
    if (!loop_.in_own_process()) {
        PyErr_SetString(PyExc_RuntimeError, "this event loop is the parent process's");
        return false;
    }
    stop_abandoned();
    try {
        watched_.insert(&datagram);
        datagram.watch = EdgeWatch(loop_, datagram.fd(), datagram);
    } catch (const asio::system_error& e) {
        watched_.erase(&datagram);
        errno = e.code().value();
        PyErr_SetFromErrno(PyExc_OSError);
        return false;
    } catch (const std::bad_alloc&) {
        watched_.erase(&datagram);
        PyErr_NoMemory();
        return false;
    }
    return true;
}

void Datagrams::remove(Datagram& datagram) {
    watched_.erase(&datagram);
    keep(datagram, false);
}

void Datagrams::keep(Datagram& datagram, bool on) {
    if (on == static_cast<bool>(datagram.kept)) return;
    // Out of the transport first: it may be the last reference.
    Ref other = on ? Ref::borrow(datagram.self()) : Ref();
    datagram.kept.swap(other);
}

void Datagrams::abandon(Datagram& datagram) {
    watched_.erase(&datagram);
    datagram.watch.mute();
    abandoned_.push_back(std::move(datagram.watch));
    if (!loop_.running() || loop_.on_loop_thread()) stop_abandoned();
}

void Datagrams::stop_abandoned() {
    for (EdgeWatch& watch : abandoned_) watch.stop(true);
    abandoned_.clear();
}

void Datagrams::close() {
    stop_abandoned();
    std::vector<Ref> kept;  // let go at the end: a transport that goes runs code
    for (Datagram* datagram : watched_) {
        datagram->watch.stop(false);
        kept.push_back(std::move(datagram->kept));
    }
    watched_.clear();
}

int Datagrams::traverse(visitproc visit, void* arg) {
    for (Datagram* datagram : watched_) Py_VISIT(datagram->kept.get());
    return 0;
}

}  // namespace asioloop
