// What becomes of the exceptions and of the slowness of what the loop calls without a handle: asyncio's
// reports name a handle, so one is made when there is something to report.
//
// Threads: the GIL everywhere, on the loop's thread or while nobody runs it.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

class LoopCore;
struct ModuleState;

/// Whether the exception that is set ends run_forever(): SystemExit and KeyboardInterrupt do.
bool leaves_the_loop();

/// What a report names: `owner.method(argument)`, or `owner.method()`. Borrowed.
struct Called {
    PyObject* owner;               ///< whose method it is
    const char* method;            ///< its name
    PyObject* argument = nullptr;  ///< null: none
};

/// The exception that is set goes to the loop's exception handler. False: it leaves the loop, or another one
/// that the handler has raised, and is set.
bool report_failure(const ModuleState& module, PyObject* loop, const Called& called);

/// The same of an exception that has been taken, for who has a handle. Null: none could be made, and why is
/// set. `owner` is named if that fails too.
bool report_failure(PyObject* loop, PyObject* handle, const asioserve::py::Ref& error, PyObject* owner);

/// Tells the loop's log of a callback that took so many seconds; the turn is then not told of as well.
void report_slow(const ModuleState& module, LoopCore& core, const Called& called, double took);

}  // namespace asioloop
