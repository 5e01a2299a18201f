// The built-in module `_asioloop`: LoopCore, and what C++ programs put in front of it.
#pragma once

#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

/// The module's state by any loop object (an instance of LoopCore or of a subclass); null with an exception
/// set.
ModuleState* state_of(PyTypeObject* loop_type);

/// The same by the module itself.
ModuleState& state_of_module(PyObject* module);

/// The loop inside a Python object, or null where it is none of ours: core_of() for who has the module.
LoopCore* core_of(const ModuleState& module, PyObject* loop) noexcept;

/// Makes the type LoopCore for the module. New reference, null with an exception set.
PyObject* make_loop_type(PyObject* module);

/// Name of the capsules with an asio::io_context*: what LoopCore.io_context() gives, and its constructor
/// takes.
inline constexpr const char* kIoCapsule = "_asioloop.io_context";

}  // namespace asioloop

/// For PyImport_AppendInittab and for an extension module of its own.
extern "C" __attribute__((visibility("default"))) PyObject* PyInit__asioloop();
