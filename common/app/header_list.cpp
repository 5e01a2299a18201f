#include "common/app/header_list.hpp"

#include <algorithm>
#include <charconv>

namespace asioserve::app {

namespace {

// RFC 9110 section 5.6.2
bool is_token_char(char c) noexcept {
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_upper(char c) noexcept {
    return c >= 'A' && c <= 'Z';
}

}  // namespace

bool HeaderList::add(std::string_view name, std::string_view value) {
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_token_char)) {
        PyErr_SetString(PyExc_ValueError, "the name of a header has a character in it that no name may have");
        return false;
    }
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos) {
        PyErr_Format(PyExc_ValueError, "the value of the header '%s' has a CR, LF or NUL in it",
                     std::string(name).c_str());
        return false;
    }
    if (std::any_of(name.begin(), name.end(), is_upper)) {
        std::string& lower = texts_.emplace_back(name);
        std::transform(lower.begin(), lower.end(), lower.begin(),
                       [](char c) { return is_upper(c) ? static_cast<char>(c + ('a' - 'A')) : c; });
        name = lower;
    }
    if (name == "content-length") {
        std::int64_t length = -1;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
        if (error != std::errc() || end != value.data() + value.size() || length < 0) {
            PyErr_SetString(PyExc_ValueError, "content-length is no number");
            return false;
        }
        content_length_ = length;
    } else if (name != "transfer-encoding") {
        headers_.push_back({name, value});
    }
    return true;
}

bool HeaderList::add_pairs(PyObject* list) {
    // A list may be changed while it is walked over, by nobody here: but a tuple of it costs little and
    // cannot.
    py::Ref pairs = py::Ref::steal(PySequence_Tuple(list));
    if (!pairs) return false;
    const Py_ssize_t count = PyTuple_GET_SIZE(pairs.get());
    headers_.reserve(headers_.size() + static_cast<std::size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* pair = PyTuple_GET_ITEM(pairs.get(), i);
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 ||
            !PyBytes_Check(PyTuple_GET_ITEM(pair, 0)) || !PyBytes_Check(PyTuple_GET_ITEM(pair, 1))) {
            PyErr_SetString(PyExc_TypeError, "headers are pairs of bytes");
            return false;
        }
        const auto view = [](PyObject* bytes) {
            return std::string_view(PyBytes_AS_STRING(bytes),
                                    static_cast<std::size_t>(PyBytes_GET_SIZE(bytes)));
        };
        if (!add(view(PyTuple_GET_ITEM(pair, 0)), view(PyTuple_GET_ITEM(pair, 1)))) return false;
    }
    kept_.push_back(std::move(pairs));
    return true;
}

bool HeaderList::add_mapping(PyObject* mapping) {
    if (mapping == Py_None) return true;
    const py::Ref items = py::Ref::steal(PyMapping_Items(mapping));
    if (!items) return false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
        std::string_view parts[2];
        for (Py_ssize_t part = 0; part < 2; ++part) {
            py::Ref text = py::Ref::steal(PySequence_GetItem(PyList_GET_ITEM(items.get(), i), part));
            if (!text) return false;
            py::Ref bytes =
                PyBytes_Check(text.get()) ? text : py::Ref::steal(PyUnicode_AsLatin1String(text.get()));
            if (!bytes) return false;
            parts[part] = {PyBytes_AS_STRING(bytes.get()),
                           static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get()))};
            kept_.push_back(std::move(bytes));
        }
        if (!add(parts[0], parts[1])) return false;
    }
    return true;
}

bool HeaderList::has(std::string_view lower_name) const noexcept {
    return std::any_of(headers_.begin(), headers_.end(),
                       [&](const Header& h) { return h.name == lower_name; });
}

}  // namespace asioserve::app
