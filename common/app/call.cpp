#include "common/app/call.hpp"

#include "common/app/bind.hpp"
#include "common/app/unmatched.hpp"

namespace asioserve::app {

namespace {

py::Ref run_in_pool(const Plan& plan, const RoutePlan& route, const Arguments& args)
    ASIOSERVE_REQUIRES(py::gil) {
    const py::Ref kwargs = py::Ref::steal(PyDict_New());
    if (!kwargs) return {};
    for (std::size_t i = 0; i < args.size(); ++i) {
        PyObject* name = PyTuple_GET_ITEM(route.names.get(), static_cast<Py_ssize_t>(i));
        if (PyDict_SetItem(kwargs.get(), name, args[i]) != 0) return {};
    }
    PyObject* call[] = {nullptr, route.endpoint.get(), kwargs.get()};
    return py::Ref::steal(
        PyObject_Vectorcall(plan.sync_pool.get(), call + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
}

void raise_invalid(const Plan& plan, const Invalid& errors) ASIOSERVE_REQUIRES(py::gil) {
    const py::Ref e = py::Ref::steal(PyObject_CallOneArg(plan.validation_error.get(), errors.list()));
    if (e) PyErr_SetObject(plan.validation_error.get(), e.get());
}

// asioserve.Response(status_code=…, headers={name: value})
PyObject* empty_response(const Plan& plan, int status, const char* name, const std::string& value)
    ASIOSERVE_REQUIRES(py::gil) {
    const py::Ref args = py::Ref::steal(PyTuple_New(0));
    const py::Ref kwargs =
        py::Ref::steal(Py_BuildValue("{s:i,s:{s:s}}", "status_code", status, "headers", name, value.c_str()));
    return args && kwargs ? PyObject_Call(plan.response.get(), args.get(), kwargs.get()) : nullptr;
}

// Apart, so that an endpoint without parameters does not pay for room that it does not use.
[[gnu::noinline]] py::Ref call_with_arguments(const Plan& plan, const RoutePlan& route, const Exchange& x,
                                              const Note& note, PyObject* request)
    ASIOSERVE_REQUIRES(py::gil) {
    Arguments args;
    if (!route.params.empty()) {
        Invalid errors(plan);
        const Captures captures(plan, x, note);
        switch (bind(plan, route, x, captures.get(), request, args, errors)) {
            case Bound::ready:
                break;
            case Bound::invalid:
                raise_invalid(plan, errors);
                return {};
            case Bound::raised:
                return {};
        }
    }
    if (route.pool) return run_in_pool(plan, route, args);
    return py::Ref::steal(args.call(route.endpoint.get(), route.names.get()));
}

}  // namespace

py::Ref call_endpoint(const Plan& plan, const RoutePlan& route, const Exchange& x, const Note& note,
                      PyObject* request) {
    if (route.params.empty() && !route.pool) return py::Ref::steal(PyObject_CallNoArgs(route.endpoint.get()));
    return call_with_arguments(plan, route, x, note, request);
}

void raise_unmatched(const Plan& plan, const Exchange& x, Verdict verdict) {
    py::Ref e;
    if (verdict == Verdict::wrong_method) {
        const std::string allow = allow_of_405(plan, x.head());
        e = py::Ref::steal(PyObject_CallFunction(plan.http_exception.get(), "iO{s:s}", 405, Py_None, "Allow",
                                                 allow.c_str()));
    } else {
        e = py::Ref::steal(PyObject_CallFunction(plan.http_exception.get(), "i", 404));
    }
    if (e) PyErr_SetObject(plan.http_exception.get(), e.get());
}

PyObject* dispatch(const Shared& shared, Exchange& x, PyObject* request) {
    if (!shared.plan) {
        PyErr_SetString(PyExc_RuntimeError, "the server is over");
        return nullptr;
    }
    const Plan& plan = *shared.plan;
    const Note& note = x.note_as<Note>();
    switch (note.verdict) {
        case Verdict::route:
            return call_endpoint(plan, *note.route, x, note, request).release();
        case Verdict::options:
            return empty_response(plan, 200, "allow", allow_of_options(plan, x.head()));
        case Verdict::redirect:
            return empty_response(plan, 307, "location", redirect_location(x));
        case Verdict::not_found:
        case Verdict::wrong_method:
            break;
    }
    raise_unmatched(plan, x, note.verdict);
    return nullptr;
}

}  // namespace asioserve::app
