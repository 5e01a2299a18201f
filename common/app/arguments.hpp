// The arguments of one call: owned references on the stack, ready for vectorcall by keyword.
//
// Threads: everything needs the GIL.
#pragma once

#include "common/python/ref.hpp"

#include <array>
#include <cstddef>
#include <vector>

namespace asioserve::app {

class Arguments {
  public:
    Arguments() = default;
    Arguments(const Arguments&) = delete;
    Arguments& operator=(const Arguments&) = delete;
    ~Arguments() {
        for (std::size_t i = 0; i < size_; ++i) py::drop(values()[i]);
    }

    /// Makes room; to be called once, before the first add().
    void reserve(std::size_t count) {
        if (count > few) many_.resize(count + 1);
    }
    /// Takes over a reference.
    void add(py::Ref value) noexcept { values()[size_++] = value.release(); }
    /// How many there are.
    std::size_t size() const noexcept { return size_; }
    /// Borrowed.
    PyObject* operator[](std::size_t i) const noexcept { return const_cast<Arguments*>(this)->values()[i]; }

    /// Calls with each argument under its name; `names` is a tuple of interned strings of the same length.
    PyObject* call(PyObject* callable, PyObject* names) noexcept {
        if (size_ == 0) return PyObject_CallNoArgs(callable);
        return PyObject_Vectorcall(callable, values(), PY_VECTORCALL_ARGUMENTS_OFFSET, names);
    }

  private:
    // Endpoints with more parameters cost an allocation.
    static constexpr std::size_t few = 8;

    // One place before the first argument is the callee's to use: so a bound method needs no copy of them.
    PyObject** values() noexcept { return (many_.empty() ? few_.data() : many_.data()) + 1; }

    std::size_t size_ = 0;
    std::array<PyObject*, few + 1> few_;
    std::vector<PyObject*> many_;
};

}  // namespace asioserve::app
