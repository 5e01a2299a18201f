#include "stage3_native_loop/native/core/context_vars.hpp"

#include <cstring>

namespace asioloop {

using asioserve::py::Ref;

bool ContextVars::load() {
    // Two that differ in their map alone, and the map is an object of a type of its own.
    Ref context = Ref::steal(PyContext_New());
    Ref variable = Ref::steal(PyContextVar_New("asioloop", nullptr));
    if (!context || !variable || PyContext_Enter(context.get()) < 0) return false;
    Ref token = Ref::steal(PyContextVar_Set(variable.get(), Py_True));
    if (PyContext_Exit(context.get()) < 0 || !token) return false;
    Ref copy = Ref::steal(PyContext_Copy(context.get()));
    if (!copy) return false;
    const PyTypeObject* type = Py_TYPE(context.get());
    weak_ = type->tp_weaklistoffset;
    if (weak_ <= 0) return true;
    constexpr auto kWord = static_cast<Py_ssize_t>(sizeof(void*));
    for (auto at = static_cast<Py_ssize_t>(sizeof(PyObject)); at + kWord <= type->tp_basicsize; at += kWord) {
        PyObject *a = nullptr, *b = nullptr;
        std::memcpy(&a, reinterpret_cast<char*>(context.get()) + at, sizeof a);
        std::memcpy(&b, reinterpret_cast<char*>(copy.get()) + at, sizeof b);
        if (!a || a != b) continue;
        if (offset_ || at == weak_) {
            offset_ = 0;
            return true;
        }
        offset_ = at;
    }
    return true;
}

}  // namespace asioloop
