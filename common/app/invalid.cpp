#include "common/app/invalid.hpp"

#include "common/python/errors.hpp"

namespace asioserve::app {

namespace {

py::Ref make_text(std::string_view text) ASIOSERVE_REQUIRES(py::gil) {
    return py::Ref::steal(PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

// A body that is no JSON: FastAPI shows it as text. Not inlined: for the None of a missing value GCC 12 warns
// of the size that only bytes have.
[[gnu::noinline]] py::Ref shown_input(PyObject* input) ASIOSERVE_REQUIRES(py::gil) {
    if (!PyBytes_Check(input)) return py::Ref::borrow(input);
    return py::Ref::steal(PyUnicode_DecodeUTF8(PyBytes_AS_STRING(input), PyBytes_GET_SIZE(input), "replace"));
}

}  // namespace

bool Invalid::make_list() {
    if (!list_) list_ = py::Ref::steal(PyList_New(0));
    return static_cast<bool>(list_);
}

bool Invalid::add(std::string_view type, std::string_view message, PyObject* loc, PyObject* input) {
    if (!make_list()) return false;
    const py::Ref error = py::Ref::steal(PyDict_New());
    const py::Ref type_text = make_text(type);
    const py::Ref message_text = make_text(message);
    if (!error || !type_text || !message_text) return false;
    const py::Ref shown = shown_input(input);
    if (!shown) return false;
    const Names& n = plan_.names;
    return PyDict_SetItem(error.get(), n.type.get(), type_text.get()) == 0 &&
           PyDict_SetItem(error.get(), n.loc.get(), loc) == 0 &&
           PyDict_SetItem(error.get(), n.msg.get(), message_text.get()) == 0 &&
           PyDict_SetItem(error.get(), n.input.get(), shown.get()) == 0 &&
           PyList_Append(list_.get(), error.get()) == 0;
}

bool Invalid::add_missing(PyObject* loc) {
    return add("missing", "Field required", loc, Py_None);
}

bool Invalid::add_unparsed(ParamType type, bool too_long, PyObject* loc, PyObject* input) {
    if (too_long)
        return add("int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size",
                   loc, input);
    switch (type) {
        case ParamType::integer:
            return add("int_parsing", "Input should be a valid integer, unable to parse string as an integer",
                       loc, input);
        case ParamType::real:
            return add("float_parsing", "Input should be a valid number, unable to parse string as a number",
                       loc, input);
        default:
            return add("bool_parsing", "Input should be a valid boolean, unable to interpret input", loc,
                       input);
    }
}

bool Invalid::add_raised() {
    const py::Ref raised = py::take_raised();
    if (PyObject_TypeCheck(raised.get(), reinterpret_cast<PyTypeObject*>(plan_.validation_error.get())) ==
        0) {
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(raised.get())), raised.get());
        return false;
    }
    const py::Ref errors = py::Ref::steal(PyObject_GetAttr(raised.get(), plan_.names.errors.get()));
    if (!errors || !make_list()) return false;
    const py::Ref joined = py::Ref::steal(PySequence_InPlaceConcat(list_.get(), errors.get()));
    return static_cast<bool>(joined);
}

py::Ref Invalid::at(PyObject* loc, std::size_t index) {
    const py::Ref last = py::Ref::steal(Py_BuildValue("(n)", static_cast<Py_ssize_t>(index)));
    return last ? py::Ref::steal(PySequence_Concat(loc, last.get())) : py::Ref();
}

}  // namespace asioserve::app
