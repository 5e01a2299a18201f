// What is in a Context, compared by identity: a Context is a name for an immutable map, and a copy of it
// names the same map until somebody sets a variable. So two that name the same one are the same to whoever
// enters them.
//
// CPython has no function for it. Where in a Context the map is, is found by trying; where it is not found,
// nothing is ever the same.
//
// GIL: held everywhere.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

class ContextVars {
  public:
    /// Finds out. False with an exception set.
    bool load();

    /// The map of a Context: good for comparing, with those of Contexts that are alive. Null: not known.
    const void* of(PyObject* context) const noexcept {
        return offset_ && PyContext_CheckExact(context)
                   ? *reinterpret_cast<void* const*>(reinterpret_cast<const char*>(context) + offset_)
                   : nullptr;
    }
    /// The map of the current Context. Null: not known, or there is none yet.
    const void* current() const noexcept {
        PyObject* context = PyThreadState_Get()->context;
        return context ? of(context) : nullptr;
    }
    /// Whether nobody but the owner of one reference can know this Context.
    bool is_nobody_elses(PyObject* context) const noexcept {
        return Py_REFCNT(context) == 1 &&
               !*reinterpret_cast<PyObject**>(reinterpret_cast<char*>(context) + weak_);
    }

  private:
    Py_ssize_t offset_ = 0;
    Py_ssize_t weak_ = 0;
};

}  // namespace asioloop
