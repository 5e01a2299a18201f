// Handles that have run, kept to be used again: most are let go of by everybody but the loop before they run.
//
// A handle is used again only if nobody could tell: no other reference, no weak one, of asyncio's class
// itself or of ours. So it is as good as new, and costs no allocation. With it stay the tuple of its
// arguments, emptied, and the Context that it ran in, if that is the loop's own: the next one most likely
// would get a copy of the same. None of them leaves the collector's lists meanwhile: to come back would count
// as a new object, which is what makes the collector run.
//
// GIL: held everywhere.
#pragma once

#include <array>
#include <vector>

#include "stage3_native_loop/native/core/context_vars.hpp"
#include "stage3_native_loop/native/core/handle.hpp"

namespace asioloop {

/// What a callback is called with. Borrowed.
struct Arguments {
    /// The first one; null if there is none.
    PyObject* const* values = nullptr;
    /// How many.
    Py_ssize_t count = 0;
};

class HandlePool {
  public:
    /// Which class of handle.
    enum Kind { plain, safe, timer, kinds };

    /// `loop` is whose handles they are; it owns the pool.
    HandlePool(const HandleClass& handles, const ContextVars& variables, PyObject* loop)
        : handles_(handles),
          variables_(variables),
          loop_(loop),
          no_args_(asioserve::py::Ref::steal(PyTuple_New(0))) {}
    ~HandlePool() { clear(); }
    HandlePool(const HandlePool&) = delete;
    HandlePool& operator=(const HandlePool&) = delete;

    /// A handle with these fields, new or as new; null with an exception set. `context` null takes a copy of
    /// the current one; `when` is a timer's, a float, and the timer counts as scheduled.
    PyObject* make(Kind kind, PyObject* callback, Arguments args, PyObject* context,
                   asioserve::py::Ref when = {});
    /// Lets go of a handle, whoever made it; it is kept if it can be used again. `loops_own`: what is in the
    /// Context that the loop runs in, or null.
    void give_back(PyObject* handle, const void* loops_own);
    /// Keeps none.
    void clear();

  private:
    // What a turn of a busy program leaves behind: at most a mebibyte of each kind.
    static constexpr std::size_t kMost = 8192;

    bool reusable(PyObject* handle, Kind& kind) const noexcept;
    PyObject* unused(Kind kind);
    asioserve::py::Ref args_for(PyObject* handle, Arguments args) const;
    asioserve::py::Ref context_for(PyObject* handle) const;

    const HandleClass& handles_;
    const ContextVars& variables_;
    PyObject* const loop_;
    const asioserve::py::Ref no_args_;
    std::array<std::vector<PyObject*>, kinds> free_;
    // How many are out: of those that others have made, none is kept in excess.
    std::array<std::size_t, kinds> lent_{};
};

}  // namespace asioloop
