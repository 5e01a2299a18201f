#include "stage3_native_loop/native/net/socket_name.hpp"

#include <arpa/inet.h>
#include <sys/un.h>

#include <cstring>

namespace asioloop {

using asioserve::py::Ref;

namespace {

Ref local_name(const sockaddr_un& name, socklen_t size) {
    constexpr socklen_t head = offsetof(sockaddr_un, sun_path);
    if (size <= head) return Ref::steal(PyUnicode_FromString(""));
    if (name.sun_path[0] == 0)  // abstract: as many bytes as it says
        return Ref::steal(PyBytes_FromStringAndSize(name.sun_path, static_cast<Py_ssize_t>(size - head)));
    // A path that fills the field has no end mark.
    const auto length = static_cast<Py_ssize_t>(strnlen(name.sun_path, size - head));
    return Ref::steal(PyUnicode_DecodeFSDefaultAndSize(name.sun_path, length));
}

}  // namespace

bool SocketName::knows(int family) noexcept {
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

void SocketName::set(const sockaddr* address, socklen_t size) {
    size_ = size;
    large_.reset();
    std::byte* to = small_.data();
    if (size > small_.size()) {
        large_ = std::make_unique_for_overwrite<std::byte[]>(size);
        to = large_.get();
    }
    if (size > 0) std::memcpy(to, address, size);
}

void SocketName::ask(int fd, Question question) {
    sockaddr_storage storage;
    socklen_t size = sizeof(storage);
    auto* const address = reinterpret_cast<sockaddr*>(&storage);
    if (question(fd, address, &size) < 0) size = 0;
    set(address, size);
}

const sockaddr* SocketName::address() const noexcept {
    return reinterpret_cast<const sockaddr*>(large_ ? large_.get() : small_.data());
}

Ref SocketName::object() const {
    std::array<char, INET6_ADDRSTRLEN> text;
    if (size_ == 0) return Ref::borrow(Py_None);
    switch (address()->sa_family) {
        case AF_INET: {
            const auto& a = *reinterpret_cast<const sockaddr_in*>(address());
            inet_ntop(AF_INET, &a.sin_addr, text.data(), text.size());
            return Ref::steal(Py_BuildValue("(si)", text.data(), int{ntohs(a.sin_port)}));
        }
        case AF_INET6: {
            const auto& a = *reinterpret_cast<const sockaddr_in6*>(address());
            inet_ntop(AF_INET6, &a.sin6_addr, text.data(), text.size());
            return Ref::steal(Py_BuildValue("(siII)", text.data(), int{ntohs(a.sin6_port)},
                                            ntohl(a.sin6_flowinfo), a.sin6_scope_id));
        }
        case AF_UNIX:
            return local_name(*reinterpret_cast<const sockaddr_un*>(address()), size_);
        default:
            return Ref::borrow(Py_None);
    }
}

}  // namespace asioloop
