#include "common/app/bind.hpp"

#include <algorithm>
#include <string>

#include "common/app/numbers.hpp"
#include "common/app/percent.hpp"

namespace asioserve::app {

namespace {

bool is_ascii(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

py::Ref bignum(std::string_view text) ASIOSERVE_REQUIRES(py::gil) {
    return py::Ref::steal(PyLong_FromString(std::string(text).c_str(), nullptr, 10));
}

class Binder {
  public:
    Binder(const Plan& plan, const Exchange& x, std::span<const std::string_view> captures, PyObject* request,
           Invalid& errors)
        : plan_(plan), x_(x), captures_(captures), request_(request), errors_(errors) {}

    /// Parses the body once, before anything else: bad JSON is told alone. False: an exception is set.
    bool load_body(const RoutePlan& route) ASIOSERVE_REQUIRES(py::gil);
    /// The value; null with an exception set, or null with none set where an error was added.
    py::Ref value(const ParamPlan& p) ASIOSERVE_REQUIRES(py::gil);

  private:
    /// Converts one text. `utf8` and `shown` are the same text; `shown` is made when it is needed.
    py::Ref convert(const ParamPlan& p, std::string_view utf8, PyObject* loc) ASIOSERVE_REQUIRES(py::gil);
    py::Ref absent(const ParamPlan& p) ASIOSERVE_REQUIRES(py::gil);
    py::Ref from_query(const ParamPlan& p) ASIOSERVE_REQUIRES(py::gil);
    py::Ref from_headers(const ParamPlan& p) ASIOSERVE_REQUIRES(py::gil);
    py::Ref from_cookies(const ParamPlan& p) ASIOSERVE_REQUIRES(py::gil);
    py::Ref from_body(const ParamPlan& p) ASIOSERVE_REQUIRES(py::gil);
    py::Ref call_convert(const ParamPlan& p, PyObject* raw, PyObject* loc) ASIOSERVE_REQUIRES(py::gil);
    py::Ref many(const ParamPlan& p, const std::vector<std::string>& texts) ASIOSERVE_REQUIRES(py::gil);

    const Plan& plan_;
    const Exchange& x_;
    std::span<const std::string_view> captures_;
    PyObject* request_;
    Invalid& errors_;
    py::Ref body_;  // parsed JSON, or bytes that are no JSON; null for an empty body
};

bool Binder::load_body(const RoutePlan& route) {
    const std::string_view body = x_.body();
    const bool wanted = std::any_of(route.params.begin(), route.params.end(),
                                    [](const ParamPlan& p) { return p.source == Source::body; });
    if (!wanted || body.empty()) return true;
    py::Ref bytes =
        py::Ref::steal(PyBytes_FromStringAndSize(body.data(), static_cast<Py_ssize_t>(body.size())));
    if (!bytes) return false;
    const bool parsed = std::any_of(route.params.begin(), route.params.end(), [](const ParamPlan& p) {
        return p.source == Source::body && p.type != ParamType::bytes;
    });
    // As FastAPI: without a JSON content type a body is bytes, which then fail to be a dict.
    if (!parsed || !is_json_content_type(x_.head().header("content-type"))) {
        body_ = std::move(bytes);
        return true;
    }
    // orjson would make a float of a huge integer, and so lose digits without a word.
    if (!has_long_number(body)) {
        body_ = py::Ref::steal(PyObject_CallOneArg(plan_.decode.get(), bytes.get()));
        if (body_) return true;
        if (PyErr_ExceptionMatches(PyExc_Exception) == 0) return false;
        PyErr_Clear();
    }
    body_ = py::Ref::steal(PyObject_CallOneArg(plan_.decode_again.get(), bytes.get()));
    return static_cast<bool>(body_);
}

py::Ref Binder::value(const ParamPlan& p) {
    switch (p.source) {
        case Source::request:
            return py::Ref::borrow(request_);
        case Source::path:
            return convert(p, captures_[p.capture], p.loc.get());
        case Source::query:
            return from_query(p);
        case Source::header:
            return from_headers(p);
        case Source::cookie:
            return from_cookies(p);
        case Source::body:
            break;
    }
    return from_body(p);
}

py::Ref Binder::convert(const ParamPlan& p, std::string_view utf8, PyObject* loc) {
    bool too_long = false;
    switch (p.type) {
        case ParamType::integer: {
            const ParsedInt n = parse_int(utf8);
            if (n.is == ParsedInt::Is::number) return py::Ref::steal(PyLong_FromLongLong(n.value));
            if (n.is == ParsedInt::Is::big) return bignum(n.digits);
            too_long = n.is == ParsedInt::Is::too_long;
            break;
        }
        case ParamType::real:
            if (const auto number = parse_float(utf8)) return py::Ref::steal(PyFloat_FromDouble(*number));
            break;
        case ParamType::boolean:
            if (const auto truth = parse_bool(utf8)) return py::Ref::borrow(*truth ? Py_True : Py_False);
            break;
        case ParamType::python: {
            const py::Ref text = path_text(utf8);
            return text ? call_convert(p, text.get(), loc) : py::Ref();
        }
        case ParamType::bytes:
            return py::Ref::steal(
                PyBytes_FromStringAndSize(utf8.data(), static_cast<Py_ssize_t>(utf8.size())));
        case ParamType::str:
        case ParamType::json:
            return path_text(utf8);
    }
    if (const py::Ref text = path_text(utf8)) errors_.add_unparsed(p.type, too_long, loc, text.get());
    return {};
}

py::Ref Binder::call_convert(const ParamPlan& p, PyObject* raw, PyObject* loc) {
    PyObject* args[] = {nullptr, raw, loc};
    py::Ref value = py::Ref::steal(
        PyObject_Vectorcall(p.convert.get(), args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
    if (!value) errors_.add_raised();
    return value;
}

py::Ref Binder::absent(const ParamPlan& p) {
    if (p.required) {
        errors_.add_missing(p.loc.get());
        return {};
    }
    if (p.default_factory) return py::Ref::steal(PyObject_CallNoArgs(p.default_factory.get()));
    return p.default_value;
}

py::Ref Binder::many(const ParamPlan& p, const std::vector<std::string>& texts) {
    if (texts.empty()) return absent(p);
    py::Ref list = py::Ref::steal(PyList_New(0));
    if (!list) return {};
    const bool whole = p.type == ParamType::python;  // its convert() wants all of them at once
    bool wrong = false;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const py::Ref loc = whole ? p.loc : Invalid::at(p.loc.get(), i);
        if (!loc) return {};
        const py::Ref item = whole ? path_text(texts[i]) : convert(p, texts[i], loc.get());
        if (item) {
            if (PyList_Append(list.get(), item.get()) != 0) return {};
        } else if (PyErr_Occurred() != nullptr) {
            return {};
        } else {
            wrong = true;
        }
    }
    if (wrong) return {};
    return whole ? call_convert(p, list.get(), p.loc.get()) : list;
}

py::Ref Binder::from_query(const ParamPlan& p) {
    std::vector<std::string> all;
    std::optional<std::string_view> last;
    QueryPairs pairs(x_.head().query);
    while (const auto pair = pairs.next()) {
        if (!query_name_is(pair->first, p.alias)) continue;
        if (p.many) all.push_back(query_decode(pair->second));
        last = pair->second;
    }
    if (p.many) return many(p, all);
    if (!last) return absent(p);
    if (last->find_first_of("%+") == last->npos) return convert(p, *last, p.loc.get());
    return convert(p, query_decode(*last), p.loc.get());
}

py::Ref Binder::from_headers(const ParamPlan& p) {
    if (p.many) {
        std::vector<std::string> all;
        for (const Header& h : x_.head().headers)
            if (h.name == p.alias) all.push_back(latin1_to_utf8(h.value));
        return many(p, all);
    }
    const std::string_view value = x_.head().header(p.alias);
    if (value.data() == nullptr) return absent(p);
    return is_ascii(value) ? convert(p, value, p.loc.get()) : convert(p, latin1_to_utf8(value), p.loc.get());
}

py::Ref Binder::from_cookies(const ParamPlan& p) {
    std::optional<std::string> found;
    for (const Header& h : x_.head().headers) {
        if (h.name != "cookie") continue;
        if (auto value = find_cookie(h.value, p.alias)) found = std::move(value);
    }
    if (!found) return absent(p);
    return convert(p, latin1_to_utf8(*found), p.loc.get());
}

py::Ref Binder::from_body(const ParamPlan& p) {
    if (!body_) return absent(p);
    py::Ref value = body_;
    if (p.embed) {
        if (!PyDict_Check(body_.get())) {
            // FastAPI: in JSON that is no object even what has a default is missed; other bytes are as no
            // body.
            if (PyBytes_Check(body_.get())) return absent(p);
            errors_.add_missing(p.loc.get());
            return {};
        }
        value = py::Ref::borrow(PyDict_GetItemWithError(body_.get(), p.alias_object.get()));
        if (!value) return PyErr_Occurred() != nullptr ? py::Ref() : absent(p);
    }
    if (p.type == ParamType::python) return call_convert(p, value.get(), p.loc.get());
    if (p.optional && value.get() == Py_None) return value;
    if (p.json_kind == JsonKind::dict && !PyDict_Check(value.get())) {
        errors_.add("dict_type", "Input should be a valid dictionary", p.loc.get(), value.get());
        return {};
    }
    if (p.json_kind == JsonKind::list && !PyList_Check(value.get())) {
        errors_.add("list_type", "Input should be a valid list", p.loc.get(), value.get());
        return {};
    }
    return value;
}

}  // namespace

py::Ref path_text(std::string_view bytes) {
    return py::Ref::steal(
        PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace"));
}

Bound bind(const Plan& plan, const RoutePlan& route, const Exchange& x,
           std::span<const std::string_view> captures, PyObject* request, Arguments& out, Invalid& errors) {
    Binder binder(plan, x, captures, request, errors);
    if (route.body == BodyMode::collect && !binder.load_body(route)) return Bound::raised;
    out.reserve(route.params.size());
    for (const ParamPlan& p : route.params) {
        py::Ref value = binder.value(p);
        if (value)
            out.add(std::move(value));
        else if (PyErr_Occurred() != nullptr)
            return Bound::raised;
    }
    return errors.any() ? Bound::invalid : Bound::ready;
}

}  // namespace asioserve::app
