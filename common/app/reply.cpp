#include "common/app/reply.hpp"

#include <string_view>

#include "common/app/header_list.hpp"
#include "common/app/json_writer.hpp"

namespace asioserve::app {

namespace {

constexpr std::string_view json_type = "application/json";
constexpr std::string_view text_type = "text/plain; charset=utf-8";
constexpr std::string_view bytes_type = "application/octet-stream";

bool is_a(PyObject* o, const py::Ref& type) ASIOSERVE_REQUIRES(py::gil) {
    return PyObject_TypeCheck(o, reinterpret_cast<PyTypeObject*>(type.get())) != 0;
}

std::string_view view_of(PyObject* bytes) ASIOSERVE_REQUIRES(py::gil) {
    return {PyBytes_AS_STRING(bytes), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes))};
}

void send(int status, std::string_view type, std::string_view body, AnswerSink answer,
          std::span<const Header> headers = {}) {
    if (has_no_body(status)) type = body = {};
    answer(AnswerView{status, type, body, headers});
}

// encode(value, default)
py::Ref encode(const Plan& plan, PyObject* value) ASIOSERVE_REQUIRES(py::gil) {
    PyObject* args[] = {nullptr, value, plan.encode_default.get()};
    py::Ref bytes = py::Ref::steal(
        PyObject_Vectorcall(plan.encode.get(), args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
    if (bytes && !PyBytes_Check(bytes.get())) {
        PyErr_SetString(PyExc_TypeError, "the JSON encoder gave something else than bytes");
        return {};
    }
    return bytes;
}

Replied reply_json(const Plan& plan, int status, PyObject* value, AnswerSink answer)
    ASIOSERVE_REQUIRES(py::gil) {
    {
        JsonWriter writer;
        if (const std::string_view text = writer.write(value); !text.empty()) [[likely]] {
            send(status, json_type, text, answer);
            return Replied::answered;
        }
    }
    const py::Ref bytes = encode(plan, value);
    if (!bytes) return Replied::raised;
    send(status, json_type, view_of(bytes.get()), answer);
    return Replied::answered;
}

// Any object that looks like bytes, copied: it may change while the answer is sent elsewhere.
py::Ref as_bytes(PyObject* body) ASIOSERVE_REQUIRES(py::gil) {
    return PyBytes_CheckExact(body) ? py::Ref::borrow(body) : py::Ref::steal(PyBytes_FromObject(body));
}

Replied reply_response(const Plan& plan, PyObject* response, AnswerSink answer) ASIOSERVE_REQUIRES(py::gil) {
    const Names& n = plan.names;
    const py::Ref status = py::Ref::steal(PyObject_GetAttr(response, n.status_code.get()));
    const py::Ref body = status ? py::Ref::steal(PyObject_GetAttr(response, n.body.get())) : py::Ref();
    const py::Ref fields = body ? py::Ref::steal(PyObject_GetAttr(response, n.raw_headers.get())) : py::Ref();
    if (!fields) return Replied::raised;
    const long code = PyLong_AsLong(status.get());
    if (code == -1 && PyErr_Occurred() != nullptr) return Replied::raised;
    if (code < 200 || code > 999) {
        PyErr_Format(PyExc_ValueError, "a Response has the status %ld, which cannot be sent", code);
        return Replied::raised;
    }
    const py::Ref bytes = as_bytes(body.get());
    if (!bytes) return Replied::raised;
    HeaderList headers;
    if (!headers.add_pairs(fields.get())) return Replied::raised;
    send(static_cast<int>(code), {}, view_of(bytes.get()), answer, headers.get());
    return Replied::answered;
}

// (body, status): exactly two, the second an int from 100 to 599; 0 where it is something else.
int status_in(PyObject* tuple) ASIOSERVE_REQUIRES(py::gil) {
    if (PyTuple_GET_SIZE(tuple) != 2 || !PyLong_CheckExact(PyTuple_GET_ITEM(tuple, 1))) return 0;
    int overflow = 0;
    const long status = PyLong_AsLongAndOverflow(PyTuple_GET_ITEM(tuple, 1), &overflow);
    return overflow == 0 && status >= 100 && status <= 599 ? static_cast<int>(status) : 0;
}

}  // namespace

Replied reply(const Plan& plan, int status, PyObject* result, AnswerSink answer) {
    if (PyDict_CheckExact(result) || PyList_CheckExact(result))
        return reply_json(plan, status, result, answer);
    if (PyTuple_CheckExact(result)) {
        const int own = status_in(result);
        if (own == 0) return reply_json(plan, status, result, answer);
        if (own < 200) {
            PyErr_Format(PyExc_ValueError, "an endpoint gave the status %d, which is not final", own);
            return Replied::raised;
        }
        PyObject* body = PyTuple_GET_ITEM(result, 0);
        if (is_a(body, plan.response)) {
            PyErr_SetString(PyExc_TypeError, "an endpoint gave (Response, status): a Response has its own");
            return Replied::raised;
        }
        return PyTuple_CheckExact(body) ? reply_json(plan, own, body, answer)
                                        : reply(plan, own, body, answer);
    }
    if (PyUnicode_Check(result)) {
        Py_ssize_t size = 0;
        const char* utf8 = PyUnicode_AsUTF8AndSize(result, &size);
        if (utf8 == nullptr) return Replied::raised;
        send(status, text_type, {utf8, static_cast<std::size_t>(size)}, answer);
        return Replied::answered;
    }
    if (is_a(result, plan.response))
        return is_a(result, plan.streaming_response) ? Replied::stream : reply_response(plan, result, answer);
    if (PyBytes_Check(result) || PyByteArray_Check(result) || PyMemoryView_Check(result)) {
        const py::Ref bytes = as_bytes(result);
        if (!bytes) return Replied::raised;
        send(status, bytes_type, view_of(bytes.get()), answer);
        return Replied::answered;
    }
    if (result == Py_None && has_no_body(status)) {
        send(status, {}, {}, answer);
        return Replied::answered;
    }
    return reply_json(plan, status, result, answer);
}

bool reply_detail(const Plan& plan, int status, PyObject* detail, PyObject* fields, AnswerSink answer) {
    HeaderList headers;
    if (!headers.add_mapping(fields)) return false;
    if (status < 200 || status > 999) {
        PyErr_Format(PyExc_ValueError, "an HTTPException has the status %d, which cannot be sent", status);
        return false;
    }
    if (has_no_body(status)) {
        send(status, {}, {}, answer, headers.get());
        return true;
    }
    const py::Ref body = py::Ref::steal(PyDict_New());
    if (!body || PyDict_SetItem(body.get(), plan.names.detail.get(), detail) != 0) return false;
    const py::Ref bytes = encode(plan, body.get());
    if (!bytes) return false;
    const bool own_type = headers.has("content-type");
    send(status, own_type ? std::string_view() : json_type, view_of(bytes.get()), answer, headers.get());
    return true;
}

bool reply_invalid(const Plan& plan, PyObject* errors, AnswerSink answer) {
    const py::Ref bytes = py::Ref::steal(PyObject_CallOneArg(plan.encode_errors.get(), errors));
    if (!bytes) return false;
    if (!PyBytes_Check(bytes.get())) {
        PyErr_SetString(PyExc_TypeError, "the JSON encoder gave something else than bytes");
        return false;
    }
    send(422, json_type, view_of(bytes.get()), answer);
    return true;
}

void reply_internal_error(AnswerSink answer) {
    answer(AnswerView{500, text_type, "Internal Server Error", {}});
}

}  // namespace asioserve::app
