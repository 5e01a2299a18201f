// The GIL as a capability: Clang refuses a call of a REQUIRES(gil) function from a place that does not hold
// it.
//
// Threads: `gil` stands for the GIL of the main interpreter. GCC sees empty macros.
#pragma once

#include "common/python/python.hpp"

#if defined(__clang__)
#define ASIOSERVE_TSA(x) __attribute__((x))
#else
/// Clang's attribute `x`; nothing for others.
#define ASIOSERVE_TSA(x)
#endif
/// The caller holds it.
#define ASIOSERVE_REQUIRES(...) ASIOSERVE_TSA(requires_capability(__VA_ARGS__))
/// The caller does not hold it.
#define ASIOSERVE_EXCLUDES(...) ASIOSERVE_TSA(locks_excluded(__VA_ARGS__))
/// Holds it from this call on.
#define ASIOSERVE_ACQUIRE(...) ASIOSERVE_TSA(acquire_capability(__VA_ARGS__))
/// Holds it no longer after this call.
#define ASIOSERVE_RELEASE(...) ASIOSERVE_TSA(release_capability(__VA_ARGS__))

namespace asioserve::py {

class ASIOSERVE_TSA(capability("GIL")) Gil {
  public:
    /// Tells the analysis (and debug builds) that the GIL is held: for functions that CPython calls.
    void assert_held() const ASIOSERVE_TSA(assert_capability(this)) {
#ifndef NDEBUG
        if (!PyGILState_Check()) Py_FatalError("the GIL is not held here");
#endif
    }
};

/// Stands for the GIL in annotations; has no state.
inline constinit Gil gil;

/// Takes the GIL for a scope, on any thread (PyGILState_Ensure). About 0.1 µs when nobody else wants it, up
/// to the switch interval of 5 ms when a Python thread is busy.
class ASIOSERVE_TSA(scoped_lockable) GilAcquire {
  public:
    GilAcquire() ASIOSERVE_ACQUIRE(gil) : state_(PyGILState_Ensure()) {}
    ~GilAcquire() ASIOSERVE_RELEASE() { PyGILState_Release(state_); }
    GilAcquire(const GilAcquire&) = delete;
    GilAcquire& operator=(const GilAcquire&) = delete;

  private:
    PyGILState_STATE state_;
};

/// Lets the GIL go for a scope that blocks or computes without Python.
class GilRelease {
  public:
    GilRelease() ASIOSERVE_RELEASE(gil) : state_(PyEval_SaveThread()) {}
    ~GilRelease() ASIOSERVE_ACQUIRE(gil) { PyEval_RestoreThread(state_); }
    GilRelease(const GilRelease&) = delete;
    GilRelease& operator=(const GilRelease&) = delete;

  private:
    PyThreadState* state_;
};

}  // namespace asioserve::py
