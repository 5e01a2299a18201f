// Handles that have run, kept to be used again: most are let go of by everybody but the loop before they run.
//
// A handle is used again only if nobody could tell: no other reference, no weak one, of asyncio's class itself or
// of ours. So it is as good as new, and costs neither an allocation nor the collector's attention.
//
// With it stays the Context that it ran in, if that is the loop's own: the next one most likely would get a
// copy of the same.
//
// GIL: held everywhere.
#pragma once

#include <array>
#include <vector>

#include "stage3_native_loop/native/core/context_vars.hpp"
#include "stage3_native_loop/native/core/handle.hpp"

namespace asioloop {

class HandlePool {
  public:
    /// Which class of handle.
    enum Kind { plain, safe, timer, kinds };

    /// `loop` is whose handles they are; it owns the pool.
    HandlePool(const HandleClass& handles, const ContextVars& variables, PyObject* loop)
        : handles_(handles), variables_(variables), loop_(loop) {}
    ~HandlePool() { clear(); }
    HandlePool(const HandlePool&) = delete;
    HandlePool& operator=(const HandlePool&) = delete;

    /// A handle with these fields, new or as new; null with an exception set. `args` is a tuple; `context`
    /// null takes a copy of the current one. A timer is not scheduled yet, and `when` is a float.
    PyObject* make(Kind kind, PyObject* callback, asioserve::py::Ref args, PyObject* context,
                   asioserve::py::Ref when = {});
    /// Lets go of a handle, whoever made it; it is kept if it can be used again. `loops_own`: what is in the
    /// Context that the loop runs in, or null.
    void give_back(PyObject* handle, const void* loops_own);
    /// Keeps none.
    void clear();

  private:
    // What a turn of a busy program leaves behind; about 200 KiB of each kind.
    static constexpr std::size_t kMost = 2048;

    bool reusable(PyObject* handle, Kind& kind) const noexcept;

    asioserve::py::Ref context_for(PyObject* used) const;

    const HandleClass& handles_;
    const ContextVars& variables_;
    PyObject* const loop_;
    std::array<std::vector<PyObject*>, kinds> free_;
};

}  // namespace asioloop
