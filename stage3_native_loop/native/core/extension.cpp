// The one object that makes an extension module of the library: it refers to the module's entry point.
#include "stage3_native_loop/native/core/module.hpp"

namespace {
[[maybe_unused, gnu::used]] PyObject* (*const entry)() = &PyInit__asioloop;
}
