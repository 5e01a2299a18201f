// Connecting to an address of this machine, which is answered while connect() runs: no wait, no watch, no
// object for the socket.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

/// What connect_here() gives to Python: None if `host` is no loopback address in digits (nothing was tried),
/// or (descriptor, connected). Null with an exception set: the connection was refused, say.
PyObject* connect_here(PyObject* module, PyObject* args);
/// Of a Unix socket, by its path, as module socket takes it: its descriptor, or None where it is not there at
/// once. Whoever tries again can say why not.
PyObject* connect_unix(PyObject* module, PyObject* path);

}  // namespace asioloop
