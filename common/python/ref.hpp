// Ref: an owned reference to a Python object. The only file that may count references by hand (tests/lint
// checks it).
//
// Threads: every member needs the GIL, the destructor of a non-empty Ref too; debug builds abort without it.
#pragma once

#include <utility>

#include "common/python/gil.hpp"

namespace asioserve::py {

class Ref {
  public:
    Ref() = default;
    /// Takes over a new reference (what most C-API functions return); null stays null, for the caller to
    /// check.
    static Ref steal(PyObject* o) noexcept {
        Ref r;
        r.o_ = o;
        return r;
    }
    /// Shares a borrowed reference.
    static Ref borrow(PyObject* o) noexcept {
        check();
        Py_XINCREF(o);
        return steal(o);
    }
    /// Shares the other one's object.
    Ref(const Ref& other) noexcept : o_(other.o_) {
        check();
        Py_XINCREF(o_);
    }
    /// Takes over; the other one is empty. Needs no GIL.
    Ref(Ref&& other) noexcept : o_(std::exchange(other.o_, nullptr)) {}
    /// Shares or takes over; lets go of what was there.
    Ref& operator=(Ref other) noexcept {
        std::swap(o_, other.o_);
        return *this;
    }
    ~Ref() {
        if (o_) {
            check();
            Py_DECREF(o_);
        }
    }

    /// The object, borrowed; null when empty.
    PyObject* get() const noexcept { return o_; }
    /// Whether there is one.
    explicit operator bool() const noexcept { return o_ != nullptr; }
    /// Gives the reference away, for C-API functions that steal it and for return values.
    [[nodiscard]] PyObject* release() noexcept { return std::exchange(o_, nullptr); }
    /// Lets go of it.
    void reset() noexcept { Ref().swap(*this); }
    /// Exchanges two. Needs no GIL.
    void swap(Ref& other) noexcept { std::swap(o_, other.o_); }

  private:
    static void check() noexcept {
#ifndef NDEBUG
        if (!PyGILState_Check()) Py_FatalError("a reference was counted without the GIL");
#endif
    }
    PyObject* o_ = nullptr;
};

/// A new reference to `o`, for functions that must return one.
inline PyObject* new_reference(PyObject* o) noexcept {
    return Ref::borrow(o).release();
}

/// Lets go of a reference that was given away by Ref::release().
inline void drop(PyObject* o) noexcept {
    Ref::steal(o).reset();
}

/// tp_clear and tp_dealloc of a type: empties a field that owns a reference.
inline void clear(PyObject*& field) noexcept {
    Ref::steal(std::exchange(field, nullptr)).reset();
}

}  // namespace asioserve::py
