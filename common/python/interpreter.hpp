// The embedded interpreter, set up so that an app cannot tell it from `python3`.
//
// Threads: constructed and finalised on the main thread, which holds the GIL in between unless it lets go of
// it. Built-in modules are added by PyImport_AppendInittab before the constructor.
#pragma once

#include <string>
#include <vector>

#include "common/python/gil.hpp"

namespace asioserve::py {

/// What differs from run to run.
struct InterpreterOptions {
    std::string python;  ///< --python; empty: the active virtual environment, or what it was built with
    std::vector<std::string> argv;        ///< sys.argv
    std::vector<std::string> path_front;  ///< put in front of sys.path, in this order
    bool isolated = false;                ///< as `python3 -I`: no PYTHON* variables, no user site
};

/// As `python3` does: PYTHON* variables, UTF-8 mode and locale, site-packages, its SIGINT handler and SIGPIPE
/// ignored. One at a time; another may follow after finalise().
class Interpreter {
  public:
    /// Throws std::runtime_error with a sentence when it cannot start.
    explicit Interpreter(const InterpreterOptions& options);
    /// Finalises, if that has not been done.
    ~Interpreter();
    Interpreter(const Interpreter&) = delete;
    Interpreter& operator=(const Interpreter&) = delete;

    /// Py_FinalizeEx: joins threads that are no daemons, runs atexit. GIL held; no Ref may be alive after it.
    /// False: buffered output could not be written (python3 then exits with 120).
    bool finalise();

  private:
    bool up_ = false;
};

}  // namespace asioserve::py
