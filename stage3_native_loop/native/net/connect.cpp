#include "stage3_native_loop/native/net/connect.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "stage3_native_loop/native/net/address.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

/// Of a loopback address in digits; false for anything else.
bool parse_loopback(const char* host, std::uint16_t port, Address& to) {
    const std::size_t size = std::strlen(host);
    if (parse_host(AF_INET, host, size, to)) {
        to.v4.sin_port = htons(port);
        return (ntohl(to.v4.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
    }
    if (!parse_host(AF_INET6, host, size, to)) return false;
    to.v6.sin6_port = htons(port);
    return IN6_IS_ADDR_LOOPBACK(&to.v6.sin6_addr);
}

/// As asyncio words it.
PyObject* refused(int error, const Address& to) {
    const Ref address = address_object(to);
    const Ref text =
        Ref::steal(address ? PyUnicode_FromFormat("Connect call failed %S", address.get()) : nullptr);
    const Ref exc =
        Ref::steal(text ? PyObject_CallFunction(PyExc_OSError, "iO", error, text.get()) : nullptr);
    if (exc) PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exc.get())), exc.get());
    return nullptr;
}

}  // namespace

PyObject* connect_here(PyObject*, PyObject* args) {
    const char* host = nullptr;
    int port = -1;
    if (!PyArg_ParseTuple(args, "si", &host, &port)) return nullptr;
    if (port < 0 || port > 0xffff) return new_reference(Py_None);
    Address to;
    if (!parse_loopback(host, static_cast<std::uint16_t>(port), to)) return new_reference(Py_None);
    const int fd = ::socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) return PyErr_SetFromErrno(PyExc_OSError);
    int done = ::connect(fd, &to.any, to.size);
    // The answer has come while connect() held the socket, and is looked at when it lets go.
    const bool at_once = done == 0 || errno != EINPROGRESS;
    if (!at_once) done = ::connect(fd, &to.any, to.size);
    if (done == 0) return Py_BuildValue("(iO)", fd, Py_True);
    const int error = errno;
    if (error == EALREADY || error == EINPROGRESS || error == EINTR)
        return Py_BuildValue("(iO)", fd, Py_False);
    ::close(fd);
    if (!at_once) return refused(error, to);
    errno = error;
    return PyErr_SetFromErrno(PyExc_OSError);
}

PyObject* connect_unix(PyObject*, PyObject* path) {
    Address to;
    if (!parse_address(AF_UNIX, path, to)) return new_reference(Py_None);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return new_reference(Py_None);
    if (::connect(fd, &to.any, to.size) == 0) return PyLong_FromLong(fd);
    ::close(fd);
    return new_reference(Py_None);
}

}  // namespace asioloop
