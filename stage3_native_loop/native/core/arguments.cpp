#include "stage3_native_loop/native/core/arguments.hpp"

#include <string>
#include <vector>

namespace asioloop {

using asioserve::py::Ref;

namespace {

PyObject* missing(const char* method, const std::vector<std::string>& names) {
    std::string list;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i > 0) list += i + 1 < names.size() ? ", " : " and ";
        list += "'" + names[i] + "'";
    }
    return PyErr_Format(PyExc_TypeError, "%s() missing %zu required positional argument%s: %s", method,
                        names.size(), names.size() == 1 ? "" : "s", list.c_str());
}

}  // namespace

PyObject* call_by_position(FastMethod method, const char* name, std::span<const char* const> parameters,
                           PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    const auto given = static_cast<std::size_t>(n);
    std::vector<PyObject*> all(values, values + n);
    all.resize(parameters.size(), nullptr);
    std::vector<PyObject*> kept, kept_names;
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); ++i) {
        PyObject* keyword = PyTuple_GET_ITEM(names, i);
        std::size_t at = given;
        while (at < all.size() && PyUnicode_CompareWithASCIIString(keyword, parameters[at]) != 0) ++at;
        if (at < all.size()) {
            all[at] = values[n + i];
        } else {
            kept.push_back(values[n + i]);
            kept_names.push_back(keyword);
        }
    }
    std::vector<std::string> absent;
    for (std::size_t i = given; i < all.size(); ++i)
        if (!all[i]) absent.emplace_back(parameters[i]);
    if (!absent.empty()) return missing(name, absent);

    all.insert(all.end(), kept.begin(), kept.end());
    Ref keywords = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(kept_names.size())));
    if (!keywords) return nullptr;
    for (std::size_t i = 0; i < kept_names.size(); ++i)
        PyTuple_SET_ITEM(keywords.get(), static_cast<Py_ssize_t>(i),
                         asioserve::py::new_reference(kept_names[i]));
    return method(self, all.data(), static_cast<Py_ssize_t>(parameters.size()), keywords.get());
}

}  // namespace asioloop
