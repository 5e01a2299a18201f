// Object: a Python object in the hands of C++ code that does not always hold the GIL.
//
// Threads: it may be moved and destroyed anywhere, also after the interpreter has gone (then it leaks, as
// there is nobody left to give it back to). Everything else needs the GIL.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

class Object {
  public:
    Object() = default;
    /// Takes a reference over.
    explicit Object(asioserve::py::Ref ref) noexcept : ref_(std::move(ref)) {}
    /// Takes over; the other one is empty.
    Object(Object&&) noexcept = default;
    /// Shares or takes over; lets go of what was there.
    Object& operator=(Object other) noexcept {
        ref_.swap(other.ref_);
        return *this;
    }
    /// Shares the other one's object. GIL.
    Object(const Object&) noexcept = default;
    ~Object() {
        if (ref_) let_go();
    }

    /// The object, borrowed; null when empty.
    PyObject* get() const noexcept { return ref_.get(); }
    /// Whether there is one.
    explicit operator bool() const noexcept { return static_cast<bool>(ref_); }
    /// Gives the reference away: what a function of the C API returns.
    [[nodiscard]] PyObject* release() noexcept { return ref_.release(); }

  private:
    void let_go() noexcept {
        if (!Py_IsInitialized() || (!PyGILState_Check() && ending())) {
            [[maybe_unused]] PyObject* const lost = ref_.release();
        } else {
            asioserve::py::GilAcquire held;
            ref_.reset();
        }
    }
    // A thread that asks for the GIL now would never get it, and be ended or stopped for ever in here.
    static bool ending() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
        return Py_IsFinalizing() != 0;
#else
        return _Py_IsFinalizing() != 0;
#endif
    }

    asioserve::py::Ref ref_;
};

}  // namespace asioloop
