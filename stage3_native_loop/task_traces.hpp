// What others have done to a Task or a Context, seen from its bytes.
//
// Threads: the loop's, GIL held.
#pragma once

#include "common/python/ref.hpp"

#include <cstddef>
#include <vector>

namespace stage {

/// Bytes of an object that say nothing about who has touched it.
struct Hole {
    /// From the object's beginning, a multiple of a word's size. Both 0: there is none.
    std::size_t begin = 0;
    /// The first byte after it.
    std::size_t end = 0;
};

/// The bytes of an object, to see whether anybody has touched it since.
class Snapshot {
  public:
    /// Remembers it as it is now.
    void take(PyObject* o, Hole hole = {});
    /// Nobody but the holders of then has a reference, less `fewer` of them, and no field has changed.
    bool unchanged(PyObject* o, Py_ssize_t fewer = 0) const noexcept;
    /// The words that have changed since, and what is between them.
    Hole changed(PyObject* o) const noexcept;

  private:
    Py_ssize_t references_ = 0;
    Hole hole_;
    std::vector<char> bytes_;
};

/// Where a Task notes that cancel() was called, found by calling it on one: spares a look-up by name a
/// request.
class CancelMarks {
  public:
    /// Cancels `task`, which is not running, and sees what that changes.
    bool learn(PyObject* task);
    /// False: cancel() was not called, or was delivered and taken back. True: perhaps it was.
    bool perhaps(PyObject* task) const noexcept;

  private:
    struct Mark {
        Py_ssize_t offset;
        unsigned char bits, clear;
    };
    PyTypeObject* type_ = nullptr;
    std::vector<Mark> marks_;
};

}  // namespace stage
