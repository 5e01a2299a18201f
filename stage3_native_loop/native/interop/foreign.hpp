// The loop's side of asioloop.h: the table of functions for extension modules that are built apart.
#pragma once

#include "common/python/python.hpp"

namespace asioloop {

/// A new capsule with the table, or null with an exception set. GIL.
PyObject* make_foreign_api();

}  // namespace asioloop
