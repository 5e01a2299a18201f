// The life of the program on the Python loop: prove it, start the app, serve, drain, shut the app down.
//
// Threads: main() for the main thread; the rest says so.
#pragma once

#include <asio/io_context.hpp>
#include <functional>

#include "common/http/server.hpp"
#include "common/python/ref.hpp"

namespace asioserve {

class Program {
  public:
    virtual ~Program() = default;

    /// Runs asioserve._life.main() by asyncio.Runner(loop_factory=…) until the server has drained and the app
    /// is shut down; returns the exit code. GIL held. `loop_factory` is a Python callable, null for asyncio's
    /// default loop. `on_loop` is called with the running loop before anything else happens on it.
    virtual int main(PyObject* loop_factory, FunctionRef<void(PyObject* loop)> on_loop)
        ASIOSERVE_REQUIRES(py::gil) = 0;

    /// Drives I/O on the calling thread until main() has ended; for designs with a thread for I/O. No GIL.
    virtual void drive_io() = 0;

    /// A stage that drives I/O itself calls server().end_turn() after each turn. I/O thread.
    virtual http::Server& server() = 0;

    /// SystemExit or KeyboardInterrupt came out of a handler: drain, then exit with that code. `exception` is
    /// the instance. GIL held, any thread.
    virtual void exit_by(PyObject* exception) ASIOSERVE_REQUIRES(py::gil) = 0;
};

}  // namespace asioserve
