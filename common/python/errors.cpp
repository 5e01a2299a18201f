#include "common/python/errors.hpp"

#include <string>

namespace asioserve::py {

namespace {

std::string text_of(PyObject* text) {
    Py_ssize_t size = 0;
    if (!text) {
        PyErr_Clear();
        return {};
    }
    if (const char* data = PyUnicode_AsUTF8AndSize(text, &size))
        return {data, static_cast<std::size_t>(size)};
    // A lone surrogate (a file name, say) has no UTF-8: print it escaped rather than lose the whole message.
    PyErr_Clear();
    Ref bytes = Ref::steal(PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"));
    if (!bytes) {
        PyErr_Clear();
        return {};
    }
    return {PyBytes_AS_STRING(bytes.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get()))};
}

std::string format_traceback(PyObject* exception) {
    Ref module = Ref::steal(PyImport_ImportModule("traceback"));
    Ref lines =
        module ? Ref::steal(PyObject_CallMethod(module.get(), "format_exception", "O", exception)) : Ref();
    Ref empty = lines ? Ref::steal(PyUnicode_FromStringAndSize("", 0)) : Ref();
    Ref whole = empty ? Ref::steal(PyUnicode_Join(empty.get(), lines.get())) : Ref();
    return text_of(whole.get());
}

std::string line_of(const RunError& error) {
    return error.message.empty() ? error.type : error.type + ": " + error.message;
}

}  // namespace

Ref take_raised() {
#if PY_VERSION_HEX >= 0x030C0000
    return Ref::steal(PyErr_GetRaisedException());
#else
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    if (!type) return {};
    PyErr_NormalizeException(&type, &value, &traceback);
    Ref owned_type = Ref::steal(type), owned_traceback = Ref::steal(traceback), owned = Ref::steal(value);
    if (traceback) PyException_SetTraceback(value, traceback);
    return owned;
#endif
}

RunError describe_exception(PyObject* exception) {
    RunError error;
    // An exception that is on its way stays so: the C-API may not be called with one set.
    Ref pending = take_raised();
    error.type = Py_TYPE(exception)->tp_name;
    if (auto dot = error.type.rfind('.'); dot != std::string::npos) error.type.erase(0, dot + 1);
    error.message = text_of(Ref::steal(PyObject_Str(exception)).get());
    error.traceback = format_traceback(exception);
    if (error.traceback.empty()) error.traceback = line_of(error) + "\n";
    if (pending) PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(pending.get())), pending.get());
    return error;
}

PythonError::PythonError(RunError error) : std::runtime_error(line_of(error)), error_(std::move(error)) {}

Ref must(PyObject* new_reference) {
    if (!new_reference) must_not_fail(-1);
    return Ref::steal(new_reference);
}

void must_not_fail(int status) {
    if (status >= 0) return;
    Ref exception = take_raised();
    if (!exception) throw PythonError({"SystemError", "a call failed without an exception", ""});
    throw PythonError(describe_exception(exception.get()));
}

}  // namespace asioserve::py
