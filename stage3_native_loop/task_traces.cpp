#include "stage3_native_loop/task_traces.hpp"

#include <algorithm>
#include <cstring>

namespace stage {

using asioserve::py::Ref;

void Snapshot::take(PyObject* o, Hole hole) {
    references_ = Py_REFCNT(o);
    hole_ = hole;
    const auto size = static_cast<std::size_t>(Py_TYPE(o)->tp_basicsize);
    const char* from = reinterpret_cast<const char*>(o);
    bytes_.assign(from, from + size);
}

bool Snapshot::unchanged(PyObject* o, Py_ssize_t fewer) const noexcept {
    const char* now = reinterpret_cast<const char*>(o);
    const auto same = [&](std::size_t begin, std::size_t end) {
        return std::memcmp(bytes_.data() + begin, now + begin, end - begin) == 0;
    };
    if (Py_REFCNT(o) != references_ - fewer) return false;
    if (hole_.end == 0) return same(sizeof(PyObject), bytes_.size());
    return same(sizeof(PyObject), hole_.begin) && same(hole_.end, bytes_.size());
}

Hole Snapshot::changed(PyObject* o) const noexcept {
    const char* now = reinterpret_cast<const char*>(o);
    Hole hole;
    for (std::size_t i = sizeof(PyObject); i < bytes_.size(); ++i) {
        if (now[i] == bytes_[i]) continue;
        const std::size_t word = i / sizeof(void*) * sizeof(void*);
        if (hole.end == 0) hole.begin = word;
        hole.end = std::min(word + sizeof(void*), bytes_.size());
    }
    return hole;
}

bool CancelMarks::learn(PyObject* task) {
    const auto size = static_cast<std::size_t>(Py_TYPE(task)->tp_basicsize);
    const auto* bytes = reinterpret_cast<const unsigned char*>(task);
    const std::vector<unsigned char> before(bytes, bytes + size);
    Ref done = Ref::steal(PyObject_CallMethod(task, "cancel", nullptr));
    if (!done) return false;
    type_ = Py_TYPE(task);
    for (std::size_t i = sizeof(PyObject); i < size; ++i) {
        const auto bits = static_cast<unsigned char>(bytes[i] ^ before[i]);
        if (bits != 0)
            marks_.push_back(
                {static_cast<Py_ssize_t>(i), bits, static_cast<unsigned char>(before[i] & bits)});
    }
    return true;
}

bool CancelMarks::perhaps(PyObject* task) const noexcept {
    // None: it keeps its notes elsewhere (a Task in Python).
    if (marks_.empty() || Py_TYPE(task) != type_) return true;
    const auto* bytes = reinterpret_cast<const unsigned char*>(task);
    for (const Mark& m : marks_)
        if ((bytes[m.offset] & m.bits) != m.clear) return true;
    return false;
}

}  // namespace stage
