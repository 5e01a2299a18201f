// The handles of call_soon_threadsafe on CPython 3.14 and later, where cancel() and cancelled() of another
// thread wait for the callback that is running: a subclass of asyncio's own, without its lock for each
// handle.
#pragma once

#include "stage3_native_loop/native/core/handle.hpp"

namespace asioloop {

/// The type, made for the module; new reference. None before 3.14, null with an exception set on failure.
asioserve::py::Ref make_safe_handle_type(PyObject* module);

}  // namespace asioloop
