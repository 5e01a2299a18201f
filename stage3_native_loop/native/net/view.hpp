// View: a program's buffer, borrowed for a call.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

/// Given back at the end. GIL held.
struct View {
    View() { view.obj = nullptr; }
    ~View() {
        if (view.obj) PyBuffer_Release(&view);
    }
    View(const View&) = delete;
    View& operator=(const View&) = delete;
    /// False with an exception set: it is none, or not in one piece. The caller keeps `data`.
    bool get(PyObject* data) {
        if (!PyBytes_CheckExact(data)) return PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) == 0;
        // What most programs write, and nobody can change: there is nothing to ask for or to give back.
        view.buf = PyBytes_AS_STRING(data);
        view.len = PyBytes_GET_SIZE(data);
        return true;
    }
    /// What the buffer is.
    Py_buffer view;
};

}  // namespace asioloop
