// What the seam's opaque Computation and Outcome are over Python.
//
// Threads: every function needs the GIL.
#pragma once

#include "common/python/ref.hpp"
#include "common/runner/handler.hpp"

namespace asioserve {

/// How a computation ended.
class Outcome {
  public:
    /// `value` is what the coroutine returned.
    static Outcome returned(py::Ref value) { return {std::move(value), true}; }
    /// `exception` is an instance, with its traceback.
    static Outcome raised(py::Ref exception) { return {std::move(exception), false}; }
    /// The exception that is set now; it is cleared.
    static Outcome raised_now();

    /// Whether it returned.
    bool ok() const noexcept { return ok_; }
    /// The value, or the exception instance.
    PyObject* object() const noexcept { return object_.get(); }

  private:
    Outcome(py::Ref object, bool ok) : object_(std::move(object)), ok_(ok) {}
    py::Ref object_;
    bool ok_;
};

/// The coroutine (anything with send, throw and close; PyIter_Send works on it), whose reference the caller
/// takes over.
inline py::Ref take_coroutine(Computation* c) noexcept {
    return py::Ref::steal(reinterpret_cast<PyObject*>(c));
}
/// Hands a coroutine over to whoever drives it.
inline Computation* as_computation(py::Ref coroutine) noexcept {
    return reinterpret_cast<Computation*>(coroutine.release());
}

}  // namespace asioserve
