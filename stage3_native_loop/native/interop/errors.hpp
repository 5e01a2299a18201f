// Exceptions across the border: a Python exception stays the same object, traceback and all, on its way
// through C++.
//
// | Python              | C++                                                               |
// | ------------------- | ----------------------------------------------------------------- |
// | CancelledError      | system_error(asio::error::operation_aborted), a cancelled channel |
// | any other exception | PythonException, and back: the same object                        |
// | OSError             | any other std::system_error, with its errno if it has one         |
// | EOFError            | system_error(asio::error::eof), a closed channel                  |
// | MemoryError         | std::bad_alloc                                                    |
// | ValueError          | std::invalid_argument, std::domain_error                          |
// | IndexError          | std::out_of_range                                                 |
// | OverflowError       | std::overflow_error                                               |
// | RuntimeError        | everything else, with what() as its text                          |
//
// The first two lines go both ways, the others from C++ to Python, where pybind11::error_already_set is the
// exception that it holds, and of asio::multiple_exceptions the first is seen.
//
// Threads: every function needs the GIL; a PythonException may be copied, read and destroyed anywhere.
#pragma once

#include "stage3_native_loop/native/interop/object.hpp"

#include <exception>
#include <memory>
#include <string>

namespace asioloop {

/// A Python exception while C++ code unwinds.
class PythonException : public std::exception {
  public:
    /// `instance` is an exception instance. GIL.
    explicit PythonException(asioserve::py::Ref instance);
    /// "Type: message".
    const char* what() const noexcept override { return text_->c_str(); }
    /// The instance, borrowed.
    PyObject* get() const noexcept { return instance_->get(); }
    /// Sets it as Python's current exception, for a function that Python has called to return by. GIL.
    void restore() const;

  private:
    std::shared_ptr<const Object> instance_;
    std::shared_ptr<const std::string> text_;
};

/// The Python exception that is set, as C++ sees it (the table above); none is set afterwards. Never null.
std::exception_ptr take_exception() ASIOSERVE_REQUIRES(asioserve::py::gil);

/// Throws what take_exception() gives.
[[noreturn]] void throw_exception() ASIOSERVE_REQUIRES(asioserve::py::gil);

/// The exception instance that Python is to see for a C++ exception; empty for operation_aborted, which is a
/// cancellation and no error.
asioserve::py::Ref to_python_exception(const std::exception_ptr& error)
    ASIOSERVE_REQUIRES(asioserve::py::gil);

}  // namespace asioloop
