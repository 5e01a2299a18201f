// Importing the app that the command line names.
//
// Threads: the main thread with the GIL.
#pragma once

#include <string>

#include "common/python/ref.hpp"

namespace asioserve::app {

/// The app, or why there is none: the process then ends with `code`, and `message` (one line, may be empty)
/// says why.
struct LoadedApp {
    /// Null: it could not be had.
    py::Ref app;
    /// Exit code where there is no app.
    int code = 0;
    /// One line for whoever typed the command.
    std::string message;
    std::string traceback;  ///< for --log-level debug
};

/// Imports `target` (module:attr or file.py:attr) by asioserve._life.load(). SIGINT meanwhile: code 130.
LoadedApp load_app(const std::string& target, bool factory) ASIOSERVE_REQUIRES(py::gil);

/// The exit code that SystemExit, KeyboardInterrupt or any other exception asks for, as python3 has it. The
/// text of sys.exit("text") goes to stderr. `other` is for exceptions that are no wish to exit.
int exit_code_of(PyObject* exception, int other) ASIOSERVE_REQUIRES(py::gil);

}  // namespace asioserve::app
