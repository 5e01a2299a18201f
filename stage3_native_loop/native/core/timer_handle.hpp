// The handles of call_later and call_at: a subclass of asyncio.TimerHandle whose cancel() is not two calls of
// Python code. Most timers are time-outs, and most time-outs are cancelled.
#pragma once

#include "stage3_native_loop/native/core/handle.hpp"

namespace asioloop {

/// The type, made for the module; new reference, null with an exception set.
asioserve::py::Ref make_timer_handle_type(PyObject* module, const HandleClass& handles);

}  // namespace asioloop
