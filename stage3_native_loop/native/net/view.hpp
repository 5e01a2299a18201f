// View: a program's buffer, borrowed for a call.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

/// Given back at the end. GIL held.
struct View {
    View() { view.obj = nullptr; }
    ~View() { PyBuffer_Release(&view); }
    View(const View&) = delete;
    View& operator=(const View&) = delete;
    /// False with an exception set: it is none, or not in one piece.
    bool get(PyObject* data) { return PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) == 0; }
    /// What the buffer is.
    Py_buffer view;
};

}  // namespace asioloop
