// The Python object that asioserve._life talks to (its Protocol `Control`).
//
// Threads: made, used and let go of with the GIL. Python code that keeps the object longer than it should
// gets a RuntimeError, not a dangling pointer.
#pragma once

#include "common/python/ref.hpp"

namespace asioserve::app {

class ServerProgram;

class Control {
  public:
    /// Throws py::PythonError.
    explicit Control(ServerProgram& program) ASIOSERVE_REQUIRES(py::gil);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    /// What asioserve._life.main gets. Borrowed.
    PyObject* object() const noexcept { return object_.get(); }

  private:
    py::Ref object_;
};

}  // namespace asioserve::app
