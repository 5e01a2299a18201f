// to_python: what a C++ value is for Python. Specialise ToPython for types of your own.
//
// Threads: the GIL everywhere.
#pragma once

#include "common/python/ref.hpp"

#include <concepts>
#include <string_view>
#include <tuple>
#include <utility>

#include "stage3_native_loop/native/interop/object.hpp"

namespace asioloop {

/// `ToPython<T>::convert(T)` gives a new reference, or an empty one with a Python exception set.
template <class T>
struct ToPython;

/// The Python object for a value: bool, int, float, str (UTF-8), a tuple for a std::tuple, an Object as it
/// is; empty with an exception set.
template <class T>
asioserve::py::Ref to_python(T&& value) {
    return ToPython<std::decay_t<T>>::convert(std::forward<T>(value));
}

/// Of a truth value.
template <>
struct ToPython<bool> {
    /// True or False.
    static asioserve::py::Ref convert(bool value) {
        return asioserve::py::Ref::steal(PyBool_FromLong(value));
    }
};

/// Of a number.
template <std::signed_integral T>
struct ToPython<T> {
    /// An int.
    static asioserve::py::Ref convert(T value) {
        return asioserve::py::Ref::steal(PyLong_FromLongLong(value));
    }
};

/// Of a number.
template <std::unsigned_integral T>
struct ToPython<T> {
    /// An int.
    static asioserve::py::Ref convert(T value) {
        return asioserve::py::Ref::steal(PyLong_FromUnsignedLongLong(value));
    }
};

/// Of a number.
template <std::floating_point T>
struct ToPython<T> {
    /// A float.
    static asioserve::py::Ref convert(T value) {
        return asioserve::py::Ref::steal(PyFloat_FromDouble(static_cast<double>(value)));
    }
};

/// Of a text.
template <class T>
requires std::convertible_to<const T&, std::string_view>
struct ToPython<T> {
    /// A str; UnicodeDecodeError where it is no UTF-8.
    static asioserve::py::Ref convert(std::string_view value) {
        return asioserve::py::Ref::steal(
            PyUnicode_DecodeUTF8(value.data(), static_cast<Py_ssize_t>(value.size()), nullptr));
    }
};

/// Of what is one already.
template <>
struct ToPython<Object> {
    /// The object itself; None for an empty one.
    static asioserve::py::Ref convert(Object value) {
        return value ? asioserve::py::Ref::steal(value.release()) : asioserve::py::Ref::borrow(Py_None);
    }
};

/// Of several values.
template <class... T>
struct ToPython<std::tuple<T...>> {
    /// A tuple.
    static asioserve::py::Ref convert(std::tuple<T...> values) {
        asioserve::py::Ref tuple = asioserve::py::Ref::steal(PyTuple_New(sizeof...(T)));
        return tuple && fill(tuple.get(), values, std::index_sequence_for<T...>()) ? tuple
                                                                                   : asioserve::py::Ref();
    }

  private:
    template <std::size_t... i>
    static bool fill(PyObject* tuple, std::tuple<T...>& values, std::index_sequence<i...>) {
        return (put(tuple, i, to_python(std::move(std::get<i>(values)))) && ...);
    }
    static bool put(PyObject* tuple, std::size_t at, asioserve::py::Ref item) {
        return item && PyTuple_SetItem(tuple, static_cast<Py_ssize_t>(at), item.release()) == 0;
    }
};

}  // namespace asioloop
