#include "stage3_native_loop/native/net/connect.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

struct Loopback {
    int family = AF_UNSPEC;
    socklen_t size = 0;
    union {
        sockaddr any;
        sockaddr_in v4;
        sockaddr_in6 v6;
    };

    Loopback(const char* host, std::uint16_t port) {
        if (in_addr a{}; inet_pton(AF_INET, host, &a) == 1 && (ntohl(a.s_addr) >> 24) == IN_LOOPBACKNET) {
            family = AF_INET;
            v4 = {AF_INET, htons(port), a, {}};
            size = sizeof(v4);
        } else if (in6_addr b{}; inet_pton(AF_INET6, host, &b) == 1 && IN6_IS_ADDR_LOOPBACK(&b)) {
            family = AF_INET6;
            v6 = {AF_INET6, htons(port), 0, b, 0};
            size = sizeof(v6);
        }
    }
};

/// As asyncio words it.
PyObject* refused(int error, const Loopback& to, const char* host, int port) {
    const Ref address = Ref::steal(to.family == AF_INET ? Py_BuildValue("(si)", host, port)
                                                        : Py_BuildValue("(siii)", host, port, 0, 0));
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
    const Loopback to(host, static_cast<std::uint16_t>(port));
    if (to.family == AF_UNSPEC) return new_reference(Py_None);
    const int fd = ::socket(to.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
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
    if (!at_once) return refused(error, to, host, port);
    errno = error;
    return PyErr_SetFromErrno(PyExc_OSError);
}

PyObject* connect_unix(PyObject*, PyObject* path) {
    const Ref bytes =
        Ref::steal(PyUnicode_Check(path) ? PyUnicode_EncodeFSDefault(path) : Ref::borrow(path).release());
    if (!bytes) return nullptr;
    if (!PyBytes_Check(bytes.get())) return new_reference(Py_None);
    const std::string_view name(PyBytes_AS_STRING(bytes.get()),
                                static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get())));
    sockaddr_un to{};
    // One that begins with a null is abstract, and not ended by one.
    if (name.empty() || name.size() >= sizeof(to.sun_path)) return new_reference(Py_None);
    to.sun_family = AF_UNIX;
    std::ranges::copy(name, to.sun_path);
    const auto size = offsetof(sockaddr_un, sun_path) + name.size() + (name.front() == '\0' ? 0 : 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return new_reference(Py_None);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), static_cast<socklen_t>(size)) == 0)
        return PyLong_FromLong(fd);
    ::close(fd);
    return new_reference(Py_None);
}

}  // namespace asioloop
