// For tables of methods.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

/// As tables of methods want it, whatever its parameters are.
template <class F>
PyCFunction as_method(F f) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}

}  // namespace asioloop
