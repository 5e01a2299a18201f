#include "common/app/load_app.hpp"

#include <cstdio>

#include "common/python/errors.hpp"

namespace asioserve::app {

LoadedApp load_app(const std::string& target, bool factory) {
    LoadedApp loaded;
    py::Ref life = py::Ref::steal(PyImport_ImportModule("asioserve._life"));
    if (!life && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        // A signal that came before the app's own import began: the same end.
        PyErr_Clear();
        loaded.code = 130;
        loaded.message = "interrupted before \"" + target + "\" was imported";
        return loaded;
    }
    if (!life) py::must_not_fail(-1);
    loaded.app = py::Ref::steal(
        PyObject_CallMethod(life.get(), "load", "sO", target.c_str(), factory ? Py_True : Py_False));
    if (loaded.app) return loaded;
    py::Ref exception = py::take_raised();
    loaded.code = exit_code_of(exception.get(), 1);
    py::Ref expected = py::must(PyObject_GetAttrString(life.get(), "LoadError"));
    RunError error = describe_exception(exception.get());
    loaded.traceback = error.traceback;
    if (PyErr_GivenExceptionMatches(exception.get(), expected.get()))
        loaded.message = error.message;
    else if (PyErr_GivenExceptionMatches(exception.get(), PyExc_KeyboardInterrupt))
        loaded.message = "interrupted while \"" + target + "\" was imported";
    else if (!PyErr_GivenExceptionMatches(exception.get(), PyExc_SystemExit))
        loaded.message = "cannot import \"" + target + "\": " + error.type + ": " + error.message;
    return loaded;
}

int exit_code_of(PyObject* exception, int other) {
    if (PyErr_GivenExceptionMatches(exception, PyExc_KeyboardInterrupt)) return 130;
    if (!PyErr_GivenExceptionMatches(exception, PyExc_SystemExit)) return other;
    py::Ref code = py::Ref::steal(PyObject_GetAttrString(exception, "code"));
    if (!code) PyErr_Clear();
    if (!code || code.get() == Py_None) return 0;
    if (PyLong_Check(code.get())) {
        int overflow = 0;
        const long value = PyLong_AsLongAndOverflow(code.get(), &overflow);
        return overflow ? 255 : static_cast<int>(value & 0xff);
    }
    std::fputs((describe_exception(exception).message + "\n").c_str(), stderr);
    return 1;
}

}  // namespace asioserve::app
