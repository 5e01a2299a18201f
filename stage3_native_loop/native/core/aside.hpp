// What is done while an exception is set, and does not disturb it.
//
// Threads: the GIL.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

/// Puts an exception that is set aside, and back at the end, in the place of another one that is set by then.
/// Without one it does nothing.
class Aside {
  public:
    Aside() { PyErr_Fetch(&type_, &value_, &traceback_); }
    ~Aside() {
        if (type_) PyErr_Restore(type_, value_, traceback_);
    }
    Aside(const Aside&) = delete;
    Aside& operator=(const Aside&) = delete;

  private:
    PyObject *type_ = nullptr, *value_ = nullptr, *traceback_ = nullptr;
};

/// PyContext_Exit(), whatever has come of what ran in it. If that fails, `owner` is named.
inline void leave_context(PyObject* context, PyObject* owner) {
    const Aside error;
    if (PyContext_Exit(context) < 0) PyErr_WriteUnraisable(owner);
}

}  // namespace asioloop
