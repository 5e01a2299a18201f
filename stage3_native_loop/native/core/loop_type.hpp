// LoopCore as a Python type: what the files that it is made of share. Its life and what it is asked about
// itself are in loop_type.cpp, how callbacks are given to it in loop_type_scheduling.cpp, and how file
// descriptors are in loop_type_watches.cpp.
//
// Threads: GIL held everywhere.
#pragma once

#include <cstddef>
#include <new>
#include <span>

#include "stage3_native_loop/native/core/as_method.hpp"
#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

/// An instance.
struct LoopObject {
    PyObject_HEAD alignas(LoopCore) std::byte storage[sizeof(LoopCore)];  ///< the loop, once there is one
    bool constructed;                                                     ///< there is
};

/// The loop inside an instance that is constructed.
inline LoopCore& core(PyObject* self) {
    return *std::launder(reinterpret_cast<LoopCore*>(reinterpret_cast<LoopObject*>(self)->storage));
}

/// call_soon() and its relatives, and create_task().
std::span<const PyMethodDef> scheduling_methods();
/// add_reader() and its relatives.
std::span<const PyMethodDef> watch_methods();

}  // namespace asioloop
