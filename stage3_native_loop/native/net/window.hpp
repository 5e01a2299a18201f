// A piece of our memory as a Python buffer, for C functions that want one: recv_into() and the like. One
// object serves all, as a memoryview for each call would cost more than what it is called for.
//
// Threads: under the GIL.
#pragma once

#include <cstddef>

#include "common/python/ref.hpp"

namespace asioloop {

/// Makes the one that the module keeps. New reference, null with an exception set.
PyObject* make_window(PyObject* module);

/// As long as this lives, the window shows `size` bytes from `data` on. For calls of C functions alone, which
/// take the buffer before they do anything else, and give it back: Python code could keep what then is gone.
class WindowOver {
  public:
    /// The module's one window.
    WindowOver(PyObject* window, const void* data, std::size_t size) noexcept;
    ~WindowOver();
    WindowOver(const WindowOver&) = delete;
    WindowOver& operator=(const WindowOver&) = delete;

    /// Borrowed.
    PyObject* get() const noexcept { return window_; }

  private:
    PyObject* const window_;
};

}  // namespace asioloop
