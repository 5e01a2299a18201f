// How a transport or a server runs what an event has made due, without a handle.
//
// Threads: the GIL, on the loop's thread.
#pragma once

#include "stage3_native_loop/native/core/aside.hpp"
#include "stage3_native_loop/native/core/failures.hpp"
#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

/// act() in a context, or (null) in the one that is there; it returns false with an exception set. What fails
/// goes to the loop's exception handler, and what takes too long to its log, in debug mode, as `called`.
/// False: an exception leaves the loop. `loop` owns `core`, and is the caller's meanwhile.
template <class Act>
bool run_called(const ModuleState& module, LoopCore& core, PyObject* loop, PyObject* context,
                const Called& called, Act act) {
    const bool timed = core.debug;
    const double begin = timed ? LoopCore::time() : 0;
    if (context && PyContext_Enter(context) < 0) return report_failure(module, loop, called);
    const bool ok = act();
    if (context) leave_context(context, called.owner);
    if (!ok) return report_failure(module, loop, called);
    const double took = timed ? LoopCore::time() - begin : 0;
    if (timed && took >= core.slow_callback_duration) report_slow(module, core, called, took);
    return true;
}

}  // namespace asioloop
