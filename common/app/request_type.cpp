// The Python side of NativeRequest: the types `_asioserve.Request` and `_asioserve.BodyStream`.
#include <charconv>
#include <new>

#include "common/app/native_request.hpp"
#include "common/app/bind.hpp"
#include "common/app/call.hpp"
#include "common/app/percent.hpp"
#include "common/python/errors.hpp"

namespace asioserve::app {

namespace {

struct RequestObject {
    PyObject_HEAD NativeRequest* native;
};

// An iterator over the body of the request that it holds.
struct StreamObject {
    PyObject_HEAD PyObject* request;
};

PyObject* ascii_text(std::string_view text) ASIOSERVE_REQUIRES(py::gil) {
    return PyUnicode_DecodeLatin1(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
}

const RequestHead& head_of(PyObject* o) noexcept {
    return NativeRequest::of(o).exchange().head();
}

PyObject* get_method(PyObject* o, void*) {
    py::gil.assert_held();
    return ascii_text(head_of(o).method);
}

PyObject* get_target(PyObject* o, void*) {
    py::gil.assert_held();
    return ascii_text(head_of(o).target);
}

PyObject* get_path(PyObject* o, void*) {
    py::gil.assert_held();
    return path_text(percent_decode(head_of(o).path)).release();
}

PyObject* get_query_string(PyObject* o, void*) {
    const std::string_view query = head_of(o).query;
    return PyBytes_FromStringAndSize(query.data(), static_cast<Py_ssize_t>(query.size()));
}

PyObject* get_http_version(PyObject* o, void*) {
    return PyUnicode_FromFormat("1.%d", static_cast<int>(head_of(o).version_minor));
}

PyObject* get_headers(PyObject* o, void*) {
    py::gil.assert_held();
    const auto headers = head_of(o).headers;
    py::Ref all = py::Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(headers.size())));
    if (!all) return nullptr;
    Py_ssize_t at = 0;
    for (const Header& h : headers) {
        py::Ref name = py::Ref::steal(ascii_text(h.name));
        py::Ref value = py::Ref::steal(ascii_text(h.value));
        PyObject* pair = name && value ? PyTuple_Pack(2, name.get(), value.get()) : nullptr;
        if (pair == nullptr) return nullptr;
        PyTuple_SET_ITEM(all.get(), at++, pair);
    }
    return all.release();
}

PyObject* get_path_params(PyObject* o, void*) {
    py::gil.assert_held();
    const NativeRequest& request = NativeRequest::of(o);
    py::Ref all = py::Ref::steal(PyDict_New());
    const Note& note = request.exchange().note_as<Note>();
    if (!all || note.route == nullptr || !request.shared().plan) return all.release();
    const Plan& plan = *request.shared().plan;
    const Captures captures(plan, request.exchange(), note);
    const auto& names = plan.router.pattern(note.route->number).names();
    for (std::size_t i = 0; i < names.size(); ++i) {
        const py::Ref value = path_text(captures.get()[i]);
        if (!value || PyDict_SetItemString(all.get(), names[i].c_str(), value.get()) != 0) return nullptr;
    }
    return all.release();
}

PyObject* get_route(PyObject* o, void*) {
    const RoutePlan* route = NativeRequest::of(o).exchange().note_as<Note>().route;
    return PyLong_FromLong(route == nullptr ? -1 : static_cast<long>(route->number));
}

// "127.0.0.1:80" or "[::1]:80" as (host, port); None for what has no port (a Unix socket).
PyObject* address(std::string_view text) ASIOSERVE_REQUIRES(py::gil) {
    const std::size_t colon = text.rfind(':');
    int port = -1;
    if (colon != text.npos) {
        const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
        if (error != std::errc() || end != text.data() + text.size()) port = -1;
    }
    if (port < 0) return py::new_reference(Py_None);
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return Py_BuildValue("(s#i)", host.data(), static_cast<Py_ssize_t>(host.size()), port);
}

PyObject* get_client(PyObject* o, void*) {
    py::gil.assert_held();
    return address(NativeRequest::of(o).exchange().endpoints().peer);
}

PyObject* get_server(PyObject* o, void*) {
    py::gil.assert_held();
    return address(NativeRequest::of(o).exchange().endpoints().local);
}

PyObject* request_body(PyObject* o, PyObject*) {
    py::gil.assert_held();
    return NativeRequest::of(o).body().read().release();
}

PyObject* request_stream(PyObject* o, PyObject*) {
    py::gil.assert_held();
    auto* type = reinterpret_cast<PyTypeObject*>(NativeRequest::of(o).shared().types.body_stream.get());
    if (type == nullptr) {
        PyErr_SetString(PyExc_RuntimeError, "the server is over");
        return nullptr;
    }
    PyObject* stream = type->tp_alloc(type, 0);
    if (stream != nullptr) reinterpret_cast<StreamObject*>(stream)->request = py::new_reference(o);
    return stream;
}

PyObject* request_is_disconnected(PyObject* o, PyObject*) {
    py::gil.assert_held();
    return PyBool_FromLong(NativeRequest::of(o).is_disconnected() ? 1 : 0);
}

PyObject* request_dispatch(PyObject* o, PyObject* request) {
    py::gil.assert_held();
    NativeRequest& native = NativeRequest::of(o);
    return dispatch(native.shared(), native.exchange(), request);
}

int request_traverse(PyObject* o, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(o));
    const NativeRequest* native = reinterpret_cast<RequestObject*>(o)->native;
    return native == nullptr ? 0 : native->traverse(visit, arg);
}

int request_clear(PyObject* o) {
    py::gil.assert_held();
    if (NativeRequest* native = reinterpret_cast<RequestObject*>(o)->native) native->clear();
    return 0;
}

void request_dealloc(PyObject* o) {
    PyObject_GC_UnTrack(o);
    delete std::exchange(reinterpret_cast<RequestObject*>(o)->native, nullptr);
    PyTypeObject* type = Py_TYPE(o);
    type->tp_free(o);
    py::drop(reinterpret_cast<PyObject*>(type));
}

PyObject* stream_next(PyObject* o) {
    py::gil.assert_held();
    return NativeRequest::of(reinterpret_cast<StreamObject*>(o)->request).body().next().release();
}

int stream_traverse(PyObject* o, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(reinterpret_cast<StreamObject*>(o)->request);
    return 0;
}

void stream_dealloc(PyObject* o) {
    PyObject_GC_UnTrack(o);
    py::clear(reinterpret_cast<StreamObject*>(o)->request);
    PyTypeObject* type = Py_TYPE(o);
    type->tp_free(o);
    py::drop(reinterpret_cast<PyObject*>(type));
}

constexpr unsigned long type_flags =
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE;

}  // namespace

NativeRequest& NativeRequest::of(PyObject* object) noexcept {
    return *reinterpret_cast<RequestObject*>(object)->native;
}

py::Ref make_request_type(PyObject* module) {
    static PyGetSetDef attributes[] = {
        {"method", get_method, nullptr, "The method as sent.", nullptr},
        {"target", get_target, nullptr, "The request target as sent.", nullptr},
        {"path", get_path, nullptr, "The path, percent-decoded.", nullptr},
        {"query_string", get_query_string, nullptr, "What stands behind the question mark, as sent.",
         nullptr},
        {"headers", get_headers, nullptr, "Pairs of name (in lower case) and value.", nullptr},
        {"path_params", get_path_params, nullptr, "What the template took from the path, decoded.", nullptr},
        {"client", get_client, nullptr, "Host and port of the peer, or None.", nullptr},
        {"server", get_server, nullptr, "Host and port of our end, or None.", nullptr},
        {"http_version", get_http_version, nullptr, "1.0 or 1.1.", nullptr},
        {"route", get_route, nullptr, "Number of the route in the plan, or -1.", nullptr},
        {nullptr, nullptr, nullptr, nullptr, nullptr},
    };
    static PyMethodDef methods[] = {
        {"body", request_body, METH_NOARGS, "An awaitable of the whole body."},
        {"stream", request_stream, METH_NOARGS, "An async iterator over the body as it comes."},
        {"is_disconnected", request_is_disconnected, METH_NOARGS, "Whether the peer has left."},
        {"dispatch", request_dispatch, METH_O, "Binds and calls the endpoint."},
        {nullptr, nullptr, 0, nullptr},
    };
    static PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>("A request as the server has it.")},
        {Py_tp_getset, attributes},
        {Py_tp_methods, methods},
        {Py_tp_traverse, reinterpret_cast<void*>(request_traverse)},
        {Py_tp_clear, reinterpret_cast<void*>(request_clear)},
        {Py_tp_dealloc, reinterpret_cast<void*>(request_dealloc)},
        {0, nullptr},
    };
    static PyType_Spec spec = {"_asioserve.Request", sizeof(RequestObject), 0, type_flags, slots};
    return py::must(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

py::Ref make_body_stream_type(PyObject* module) {
    static PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>("An async iterator over the body of a request.")},
        {Py_tp_traverse, reinterpret_cast<void*>(stream_traverse)},
        {Py_tp_dealloc, reinterpret_cast<void*>(stream_dealloc)},
        {Py_am_aiter, reinterpret_cast<void*>(PyObject_SelfIter)},
        {Py_am_anext, reinterpret_cast<void*>(stream_next)},
        {0, nullptr},
    };
    static PyType_Spec spec = {"_asioserve.BodyStream", sizeof(StreamObject), 0, type_flags, slots};
    return py::must(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

py::Ref make_native_request(const std::shared_ptr<Shared>& shared, Exchange& x) {
    auto* type = reinterpret_cast<PyTypeObject*>(shared->types.request.get());
    py::Ref object = py::Ref::steal(type->tp_alloc(type, 0));
    if (object) reinterpret_cast<RequestObject*>(object.get())->native = new NativeRequest(shared, x);
    return object;
}

}  // namespace asioserve::app
