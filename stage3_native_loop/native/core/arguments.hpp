// Arguments given by name to methods that take theirs by position, as nearly every caller gives them.
#pragma once

#include <span>

#include "common/python/ref.hpp"

namespace asioloop {

/// A method with METH_FASTCALL | METH_KEYWORDS.
using FastMethod = PyObject* (*)(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names);

/// Calls `method` again with all of `parameters` by position, for a call that has given fewer. TypeError, in
/// the interpreter's words: some are missing.
PyObject* call_by_position(FastMethod method, const char* name, std::span<const char* const> parameters,
                           PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names);

}  // namespace asioloop
