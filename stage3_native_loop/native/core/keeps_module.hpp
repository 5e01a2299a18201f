// What an object of one of the module's types has of the module.
//
// An object's type refers to the module, but not until the object's end: the collector clears what it finds
// unreachable in any order, a type before its objects too, at the end of an interpreter for one. What the
// objects use of the module is to be there until they are gone.
//
// Threads: GIL held everywhere.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

struct ModuleState;

/// The module, referred to as long as this lives. Destroyed after whatever uses the module's state.
class KeepsModule {
  public:
    /// By the state that is the module's.
    explicit KeepsModule(const ModuleState& state) noexcept;

    /// For tp_traverse of who has it. tp_clear leaves it alone: the module refers to none of its objects.
    int traverse(visitproc visit, void* arg) const {
        Py_VISIT(module_.get());
        return 0;
    }

  private:
    const asioserve::py::Ref module_;
};

}  // namespace asioloop
