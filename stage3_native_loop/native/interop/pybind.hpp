// For modules written with pybind11: functions take and return an asioloop::Object, and exceptions cross as
// errors.hpp says. bridge.hpp does without pybind11.
#pragma once

#include "stage3_native_loop/native/interop/bridge.hpp"

#include <pybind11/pybind11.h>

namespace asioloop {

/// Once in each module, in PYBIND11_MODULE: a PythonException that leaves a function is the Python exception
/// that it was.
inline void translate_exceptions() {
    pybind11::register_local_exception_translator([](std::exception_ptr error) {
        try {
            if (error) std::rethrow_exception(error);
        } catch (const PythonException& e) {
            e.restore();
        }
    });
}

}  // namespace asioloop

/// @cond for pybind11: how it converts an Object, which any Python object is
template <>
struct pybind11::detail::type_caster<asioloop::Object> {
    PYBIND11_TYPE_CASTER(asioloop::Object, const_name("object"));
    /// From Python.
    bool load(handle source, bool) {
        value = asioloop::Object(asioserve::py::Ref::borrow(source.ptr()));
        return true;
    }
    /// To Python.
    static handle cast(asioloop::Object object, return_value_policy, handle) { return object.release(); }
};
/// @endcond
