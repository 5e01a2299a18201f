// start() for Python: what asioloop's Popen calls first.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

/// Adds `spawn` to the module. False with an exception set.
bool add_spawn(PyObject* module);

}  // namespace asioloop
