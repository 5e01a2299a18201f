// Which Python environment the embedded interpreter is to believe that it is.
//
// Threads: pure functions; no interpreter needed, no GIL.
#pragma once

#include <string>

namespace asioserve::py {

/// The path to give PyConfig.executable, which is all that makes an embedded interpreter see a virtual
/// environment: `wanted` (--python: an interpreter, a name on PATH, or the folder of a virtual environment),
/// else the active virtual environment (`virtual_env`: the variable VIRTUAL_ENV, or null), else the Python
/// that this was built with. Empty: nothing of these; CPython's own defaults hold. Throws std::runtime_error
/// with a sentence that says what to do when the choice cannot work, above all when it is of another minor
/// version than the one linked in.
std::string choose_executable(const std::string& wanted, const char* virtual_env);

/// The folder with our own Python packages (asioserve, and what a stage brings): where the build put it, else
/// beside the program. Throws std::runtime_error when there is none.
std::string package_folder();

}  // namespace asioserve::py
