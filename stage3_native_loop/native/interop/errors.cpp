#include "stage3_native_loop/native/interop/errors.hpp"

#include <pybind11/pybind11.h>

#include <asio/error.hpp>
#include <asio/experimental/channel_error.hpp>
#include <asio/multiple_exceptions.hpp>
#include <new>
#include <stdexcept>
#include <system_error>

#include "common/python/errors.hpp"

namespace asioloop {

using asioserve::py::gil;
using asioserve::py::Ref;

namespace {

bool is_cancellation(PyObject* instance) ASIOSERVE_REQUIRES(gil) {
    Ref module = Ref::steal(PyImport_ImportModule("asyncio.exceptions"));
    Ref type = module ? Ref::steal(PyObject_GetAttrString(module.get(), "CancelledError")) : Ref();
    if (!type) PyErr_Clear();
    return type && PyErr_GivenExceptionMatches(instance, type.get()) != 0;
}

std::string text_of(PyObject* instance) {
    gil.assert_held();
    Ref message = Ref::steal(PyObject_Str(instance));
    const char* text = message ? PyUnicode_AsUTF8(message.get()) : nullptr;
    PyErr_Clear();  // its __str__ may be at fault, or not UTF-8: then its type must do
    return std::string(Py_TYPE(instance)->tp_name) + (text ? ": " : "") + (text ? text : "");
}

Ref made(PyObject* type, const char* text) ASIOSERVE_REQUIRES(gil) {
    return Ref::steal(PyObject_CallFunction(type, "s", text));
}

Ref of_error_code(const std::system_error& error) ASIOSERVE_REQUIRES(gil) {
    namespace channels = asio::experimental;
    const std::error_code& code = error.code();
    if (code == asio::error::operation_aborted || code == channels::error::channel_cancelled) return {};
    if (code == asio::error::eof || code == channels::error::channel_closed)
        return made(PyExc_EOFError, error.what());
    if (code.category() == std::system_category() || code.category() == std::generic_category() ||
        code.category() == asio::error::get_system_category())
        return Ref::steal(PyObject_CallFunction(PyExc_OSError, "is", code.value(), code.message().c_str()));
    return made(PyExc_OSError, error.what());
}

Ref of_pybind11(const pybind11::error_already_set& error) ASIOSERVE_REQUIRES(gil) {
    if (is_cancellation(error.value().ptr())) return {};
    if (error.trace()) PyException_SetTraceback(error.value().ptr(), error.trace().ptr());
    return Ref::borrow(error.value().ptr());
}

Ref of(const std::exception_ptr& error) ASIOSERVE_REQUIRES(gil) {
    try {
        std::rethrow_exception(error);
    } catch (const PythonException& e) {
        return Ref::borrow(e.get());
    } catch (const pybind11::error_already_set& e) {
        return of_pybind11(e);
    } catch (const asio::multiple_exceptions& e) {
        return of(e.first_exception());
    } catch (const std::system_error& e) {
        return of_error_code(e);
    } catch (const std::bad_alloc& e) {
        return made(PyExc_MemoryError, e.what());
    } catch (const std::invalid_argument& e) {
        return made(PyExc_ValueError, e.what());
    } catch (const std::domain_error& e) {
        return made(PyExc_ValueError, e.what());
    } catch (const std::out_of_range& e) {
        return made(PyExc_IndexError, e.what());
    } catch (const std::overflow_error& e) {
        return made(PyExc_OverflowError, e.what());
    } catch (const std::exception& e) {
        return made(PyExc_RuntimeError, e.what());
    } catch (...) {
        return made(PyExc_RuntimeError, "a C++ exception that is no std::exception");
    }
}

}  // namespace

PythonException::PythonException(Ref instance)
    : instance_(std::make_shared<const Object>(std::move(instance))),
      text_(std::make_shared<const std::string>(text_of(instance_->get()))) {}

void PythonException::restore() const {
    gil.assert_held();
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(get())), get());
}

std::exception_ptr take_exception() {
    Ref instance = asioserve::py::take_raised();
    if (!instance) return std::make_exception_ptr(std::logic_error("no Python exception is set"));
    if (is_cancellation(instance.get()))
        return std::make_exception_ptr(asio::system_error(asio::error::operation_aborted));
    return std::make_exception_ptr(PythonException(std::move(instance)));
}

void throw_exception() {
    std::rethrow_exception(take_exception());
}

Ref to_python_exception(const std::exception_ptr& error) {
    Ref instance = of(error);
    // No memory, or an OSError that Python refuses to make: that error is the one to tell of.
    if (!instance && PyErr_Occurred()) return asioserve::py::take_raised();
    return instance;
}

}  // namespace asioloop
