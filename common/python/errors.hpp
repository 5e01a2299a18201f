// From a Python exception to a value: the exception that is set, its text, and a C++ exception for set-up
// code.
//
// Threads: every function needs the GIL and leaves no Python exception set.
#pragma once

#include <stdexcept>

#include "common/python/ref.hpp"
#include "common/runner/error.hpp"

namespace asioserve::py {

/// Takes the exception that is set, as an instance with its traceback; null when none is set.
Ref take_raised() ASIOSERVE_REQUIRES(gil);

/// Type, message and traceback of an exception instance as text. Never fails: what cannot be printed is left
/// out.
RunError describe_exception(PyObject* exception) ASIOSERVE_REQUIRES(gil);

/// A Python exception on its way through C++ set-up code (never through a request): what() is "Type:
/// message".
class PythonError : public std::runtime_error {
  public:
    /// Takes the text over.
    explicit PythonError(RunError error);
    /// Text of the exception, also without the GIL.
    const RunError& error() const noexcept { return error_; }

  private:
    RunError error_;
};

/// For set-up code: takes over a new reference, or throws the exception that is set as PythonError.
Ref must(PyObject* new_reference) ASIOSERVE_REQUIRES(gil);

/// For C-API functions that say -1: throws the exception that is set as PythonError.
void must_not_fail(int status) ASIOSERVE_REQUIRES(gil);

}  // namespace asioserve::py

namespace asioserve {
using py::describe_exception;
}
