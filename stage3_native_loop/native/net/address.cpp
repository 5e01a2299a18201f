#include "stage3_native_loop/native/net/address.hpp"

#include <arpa/inet.h>

#include <cstddef>
#include <cstring>

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

constexpr socklen_t kPathOffset = offsetof(sockaddr_un, sun_path);

bool is_ip(const Address& a) noexcept {
    return a.any.sa_family == AF_INET || a.any.sa_family == AF_INET6;
}

/// An int (and no bool) from 0 to `most`.
bool parse_number(PyObject* object, unsigned long most, unsigned long& to) {
    if (!PyLong_CheckExact(object)) return false;
    to = PyLong_AsUnsignedLong(object);
    if (to == static_cast<unsigned long>(-1) && PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return to <= most;
}

bool parse_ip(int family, PyObject* object, Address& to) {
    if (!PyTuple_CheckExact(object)) return false;
    const Py_ssize_t n = PyTuple_GET_SIZE(object);
    if (n != 2 && (family != AF_INET6 || n < 2 || n > 4)) return false;
    PyObject* host = PyTuple_GET_ITEM(object, 0);
    if (!PyUnicode_CheckExact(host) || !PyUnicode_IS_ASCII(host)) return false;
    unsigned long port = 0, flow = 0, scope = 0;
    if (!parse_number(PyTuple_GET_ITEM(object, 1), 0xffff, port) ||
        (n > 2 && !parse_number(PyTuple_GET_ITEM(object, 2), 0xfffff, flow)) ||
        (n > 3 && !parse_number(PyTuple_GET_ITEM(object, 3), 0xffffffff, scope)))
        return false;
    Py_ssize_t length = 0;
    const char* text = PyUnicode_AsUTF8AndSize(host, &length);
    if (!text || !parse_host(family, text, static_cast<std::size_t>(length), to)) return false;
    if (family == AF_INET) {
        to.v4.sin_port = htons(static_cast<std::uint16_t>(port));
    } else {
        to.v6.sin6_port = htons(static_cast<std::uint16_t>(port));
        to.v6.sin6_flowinfo = htonl(static_cast<std::uint32_t>(flow));
        to.v6.sin6_scope_id = static_cast<std::uint32_t>(scope);
    }
    return true;
}

bool parse_path(PyObject* object, Address& to) {
    Ref path = PyUnicode_CheckExact(object) ? Ref::steal(PyUnicode_EncodeFSDefault(object))
               : PyBytes_CheckExact(object) ? Ref::borrow(object)
                                            : Ref();
    if (!path) {
        PyErr_Clear();
        return false;
    }
    const char* text = PyBytes_AS_STRING(path.get());
    const auto length = static_cast<std::size_t>(PyBytes_GET_SIZE(path.get()));
    // One that begins with NUL has no file, and may have more of them.
    const bool in_files = length > 0 && text[0] != '\0';
    if (length == 0 || length + (in_files ? 1 : 0) > sizeof to.local.sun_path ||
        (in_files && std::memchr(text, '\0', length)))
        return false;
    to.local.sun_family = AF_UNIX;
    std::memcpy(to.local.sun_path, text, length + (in_files ? 1 : 0));
    to.size = kPathOffset + static_cast<socklen_t>(length) + (in_files ? 1 : 0);
    return true;
}

Ref path_object(const Address& a) {
    if (a.size <= kPathOffset) return Ref::steal(PyUnicode_FromStringAndSize("", 0));
    const std::size_t length = a.size - kPathOffset;
    if (a.local.sun_path[0] == '\0')
        return Ref::steal(PyBytes_FromStringAndSize(a.local.sun_path, static_cast<Py_ssize_t>(length)));
    return Ref::steal(PyUnicode_DecodeFSDefaultAndSize(
        a.local.sun_path, static_cast<Py_ssize_t>(strnlen(a.local.sun_path, length))));
}

std::size_t slot_of(const Address& a) noexcept {
    // Peers differ in the port or in the last byte of the host.
    const bool v4 = a.any.sa_family == AF_INET;
    const std::size_t port = v4 ? a.v4.sin_port : a.v6.sin6_port;
    const std::size_t host = v4 ? ntohl(a.v4.sin_addr.s_addr) : a.v6.sin6_addr.s6_addr[15];
    return ((port >> 8) ^ (port * 31) ^ (host * 7)) & 255;
}

std::size_t slot_of(const PyObject* object) noexcept {
    const auto bits = reinterpret_cast<std::uintptr_t>(object);
    return ((bits >> 4) ^ (bits >> 12)) & 255;
}

}  // namespace

bool Address::operator==(const Address& other) const noexcept {
    if (size != other.size) return false;
    if (size == 0) return true;
    if (any.sa_family != other.any.sa_family) return false;
    switch (any.sa_family) {
        case AF_INET:
            return v4.sin_port == other.v4.sin_port && v4.sin_addr.s_addr == other.v4.sin_addr.s_addr;
        case AF_INET6:
            return v6.sin6_port == other.v6.sin6_port && v6.sin6_flowinfo == other.v6.sin6_flowinfo &&
                   v6.sin6_scope_id == other.v6.sin6_scope_id &&
                   std::memcmp(&v6.sin6_addr, &other.v6.sin6_addr, sizeof v6.sin6_addr) == 0;
        default:
            return std::memcmp(&any, &other.any, size) == 0;
    }
}

bool parse_host(int family, const char* text, std::size_t size, Address& to) noexcept {
    if (std::memchr(text, '\0', size)) return false;
    if (family == AF_INET) {
        if (inet_pton(AF_INET, text, &to.v4.sin_addr) != 1) return false;
        to.v4.sin_family = AF_INET;
        to.v4.sin_port = 0;
        std::memset(to.v4.sin_zero, 0, sizeof to.v4.sin_zero);
        to.size = sizeof to.v4;
    } else {
        if (inet_pton(AF_INET6, text, &to.v6.sin6_addr) != 1) return false;
        to.v6.sin6_family = AF_INET6;
        to.v6.sin6_port = 0;
        to.v6.sin6_flowinfo = to.v6.sin6_scope_id = 0;
        to.size = sizeof to.v6;
    }
    return true;
}

Ref host_text(const Address& a) {
    std::array<char, INET6_ADDRSTRLEN> text;
    const void* bits = a.any.sa_family == AF_INET ? static_cast<const void*>(&a.v4.sin_addr)
                                                  : static_cast<const void*>(&a.v6.sin6_addr);
    if (!inet_ntop(a.any.sa_family, bits, text.data(), text.size()))
        return PyErr_SetFromErrno(PyExc_OSError), Ref();
    return Ref::steal(PyUnicode_FromString(text.data()));
}

bool parse_address(int family, PyObject* object, Address& to) {
    if (family == AF_INET || family == AF_INET6) return parse_ip(family, object, to);
    return family == AF_UNIX && parse_path(object, to);
}

Ref address_object(const Address& a) {
    if (a.size == 0) return Ref::borrow(Py_None);
    if (a.any.sa_family == AF_UNIX) return path_object(a);
    Ref host = host_text(a);
    if (!host) return host;
    if (a.any.sa_family == AF_INET)
        return Ref::steal(Py_BuildValue("(Oi)", host.get(), static_cast<int>(ntohs(a.v4.sin_port))));
    return Ref::steal(Py_BuildValue("(OiII)", host.get(), static_cast<int>(ntohs(a.v6.sin6_port)),
                                    static_cast<unsigned>(ntohl(a.v6.sin6_flowinfo)),
                                    static_cast<unsigned>(a.v6.sin6_scope_id)));
}

Ref AddressCache::object_of(const Address& address) {
    if (address.size == 0 || !is_ip(address)) return address_object(address);
    if (entries_.empty()) entries_.resize(size);
    const std::size_t slot = slot_of(address);
    Entry& entry = entries_[slot];
    if (entry.object && entry.address == address) return entry.object;
    Ref object = address_object(address);
    if (!object) return object;
    entry.object = object;
    entry.address = address;
    by_object_[slot_of(object.get())] = static_cast<std::uint8_t>(slot);
    return object;
}

bool AddressCache::parse(int family, PyObject* object, Address& to) const {
    if (!entries_.empty()) {
        const Entry& entry = entries_[by_object_[slot_of(object)]];
        if (entry.object.get() == object && entry.address.any.sa_family == family) {
            to = entry.address;
            return true;
        }
    }
    return parse_address(family, object, to);
}

}  // namespace asioloop
