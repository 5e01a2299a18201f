// The loop's clock: CLOCK_MONOTONIC, or whatever time() is if a program has replaced it (a test clock that is
// stepped by hand), on the class or on the loop itself.
//
// Threads: under the GIL; monotonic() any.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

class LoopClock {
  public:
    /// `loop` is whose clock it is; it owns this. `native` is the time() that is not replaced.
    LoopClock(PyObject* loop, PyObject* native) noexcept : loop_(loop), native_(native) {}

    /// Seconds, as time.monotonic() counts them.
    static double monotonic() noexcept;
    /// What loop.time() says. False with an exception set.
    bool now(double& seconds) {
        if (!is_replaced()) {
            seconds = monotonic();
            return true;
        }
        return ask(seconds);
    }
    /// Whether a program has replaced time().
    bool is_replaced() {
        // A class that has changed, or a base of it, has another version, or none.
        if (const unsigned version = Py_TYPE(loop_)->tp_version_tag; version == 0 || version != version_)
            look_at_class();
        return of_class_ || of_loop_;
    }
    /// The loop has, or has no longer, an attribute `time` of its own.
    void own_attribute(bool set) noexcept { of_loop_ = set; }

  private:
    void look_at_class();
    bool ask(double& seconds);

    PyObject* const loop_;
    PyObject* const native_;
    unsigned version_ = 0;
    bool of_class_ = false;
    bool of_loop_ = false;
};

}  // namespace asioloop
