#include "common/app/plan.hpp"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "common/python/errors.hpp"

namespace asioserve::app {

namespace {

py::Ref attribute(PyObject* o, const char* name) ASIOSERVE_REQUIRES(py::gil) {
    return py::must(PyObject_GetAttrString(o, name));
}

// None is a null Ref.
py::Ref optional_attribute(PyObject* o, const char* name) ASIOSERVE_REQUIRES(py::gil) {
    py::Ref value = attribute(o, name);
    return value.get() == Py_None ? py::Ref() : value;
}

bool flag(PyObject* o, const char* name) ASIOSERVE_REQUIRES(py::gil) {
    const int truth = PyObject_IsTrue(attribute(o, name).get());
    py::must_not_fail(truth);
    return truth == 1;
}

std::string text(PyObject* o) ASIOSERVE_REQUIRES(py::gil) {
    Py_ssize_t size = 0;
    const char* utf8 = PyUnicode_AsUTF8AndSize(o, &size);
    if (utf8 == nullptr) py::must_not_fail(-1);
    return {utf8, static_cast<std::size_t>(size)};
}

std::string text(PyObject* o, const char* name) ASIOSERVE_REQUIRES(py::gil) {
    return text(attribute(o, name).get());
}

template <class T>
struct Word {
    std::string_view word;
    T value;
};

template <class T, std::size_t n>
T one_of(const std::string& word, const Word<T> (&words)[n], const char* what) {
    for (const Word<T>& w : words)
        if (w.word == word) return w.value;
    throw std::runtime_error("the compiled app has an unknown " + std::string(what) + " '" + word + "'");
}

constexpr Word<Source> sources[] = {{"path", Source::path},     {"query", Source::query},
                                    {"header", Source::header}, {"cookie", Source::cookie},
                                    {"body", Source::body},     {"request", Source::request}};
constexpr Word<ParamType> types[] = {{"str", ParamType::str},      {"int", ParamType::integer},
                                     {"float", ParamType::real},   {"bool", ParamType::boolean},
                                     {"json", ParamType::json},    {"bytes", ParamType::bytes},
                                     {"python", ParamType::python}};
constexpr Word<JsonKind> json_kinds[] = {
    {"", JsonKind::any}, {"dict", JsonKind::dict}, {"list", JsonKind::list}};
constexpr Word<BodyMode> bodies[] = {
    {"ignore", BodyMode::ignore}, {"collect", BodyMode::collect}, {"stream", BodyMode::stream}};

py::Ref fast_sequence(const py::Ref& o) ASIOSERVE_REQUIRES(py::gil) {
    return py::must(PySequence_Fast(o.get(), "the compiled app has something else where a sequence belongs"));
}

ParamPlan read_param(PyObject* o, const Pattern& pattern, const std::string& endpoint)
    ASIOSERVE_REQUIRES(py::gil) {
    ParamPlan p;
    const std::string source = text(o, "source");
    p.source = one_of(source, sources, "source of a parameter");
    p.type = one_of(text(o, "type"), types, "type of a parameter");
    p.json_kind = one_of(text(o, "json_kind"), json_kinds, "kind of JSON");
    p.many = flag(o, "many");
    p.required = flag(o, "required");
    p.optional = flag(o, "optional");
    p.embed = flag(o, "embed");
    p.alias_object = attribute(o, "alias");
    p.alias = text(p.alias_object.get());
    p.default_value = attribute(o, "default");
    p.default_factory = optional_attribute(o, "default_factory");
    p.convert = optional_attribute(o, "convert");
    if (p.type == ParamType::python && !p.convert)
        throw std::runtime_error("the parameter " + p.alias + " of " + endpoint + " has no converter");
    if (p.source == Source::path) {
        const auto& names = pattern.names();
        const auto at = std::find(names.begin(), names.end(), p.alias);
        if (at == names.end())
            throw std::runtime_error("the parameter " + p.alias + " of " + endpoint + " is not in the path " +
                                     pattern.text());
        p.capture = static_cast<std::size_t>(at - names.begin());
    }
    // What errors call it: a header as it was written, where it is looked up in lower case.
    py::Ref label = attribute(o, "label");
    if (text(label.get()).empty()) label = p.alias_object;
    if (p.source == Source::body && !p.embed)
        p.loc = py::must(Py_BuildValue("(s)", source.c_str()));
    else
        p.loc = py::must(Py_BuildValue("(sO)", source.c_str(), label.get()));
    return p;
}

}  // namespace

Plan::Plan(PyObject* app, bool pool) try {
    py::gil.assert_held();
    if (PyObject_HasAttrString(app, "_compile") == 0)
        throw std::runtime_error("this is no app: an object of type " + std::string(Py_TYPE(app)->tp_name) +
                                 ", where an asioserve.App is wanted");
    const py::Ref compiled = py::must(PyObject_CallMethod(app, "_compile", nullptr));
    entry = optional_attribute(compiled.get(), "entry");
    encode = attribute(compiled.get(), "encode");
    encode_default = attribute(compiled.get(), "encode_default");
    decode = attribute(compiled.get(), "decode");
    decode_again = attribute(compiled.get(), "decode_again");
    on_exception = optional_attribute(compiled.get(), "on_exception");
    request_class = attribute(compiled.get(), "request_class");
    sync_pool = attribute(compiled.get(), "sync_pool");
    native_errors = flag(compiled.get(), "native_errors");
    redirect_slashes = flag(compiled.get(), "redirect_slashes");
    const bool app_cancels = flag(compiled.get(), "cancel_on_disconnect");

    const py::Ref package = py::must(PyImport_ImportModule("asioserve"));
    response = attribute(package.get(), "Response");
    streaming_response = attribute(package.get(), "StreamingResponse");
    http_exception = attribute(package.get(), "HTTPException");
    validation_error = attribute(package.get(), "RequestValidationError");
    client_disconnected = attribute(package.get(), "ClientDisconnected");
    encode_errors = attribute(py::must(PyImport_ImportModule("asioserve._json")).get(), "encode_errors");
    const py::Ref asyncio = py::must(PyImport_ImportModule("asyncio"));
    cancelled_error = attribute(asyncio.get(), "CancelledError");
    get_running_loop = attribute(asyncio.get(), "get_running_loop");
    current_task = attribute(asyncio.get(), "current_task");

    const py::Ref list = fast_sequence(attribute(compiled.get(), "routes"));
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(list.get());
    routes.reserve(static_cast<std::size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i)
        read_route(PySequence_Fast_GET_ITEM(list.get(), i), pool, app_cancels);
} catch (const std::invalid_argument& e) {
    throw std::runtime_error(e.what());
}

void Plan::read_route(PyObject* o, bool pool_by_default, bool app_cancels) {
    const py::Ref method_list = fast_sequence(attribute(o, "methods"));
    std::vector<std::string> methods;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(method_list.get()); ++i)
        methods.push_back(text(PySequence_Fast_GET_ITEM(method_list.get(), i)));
    const auto number = static_cast<std::uint32_t>(router.size());
    router.add(text(o, "path"), methods);
    const Pattern& pattern = router.pattern(number);

    RoutePlan& r = routes.emplace_back();
    r.number = number;
    r.many_captures = pattern.names().size() > most_captures;
    r.endpoint = attribute(o, "endpoint");
    r.body = one_of(text(o, "body"), bodies, "body mode");
    r.coroutine = text(o, "kind") == "coroutine";
    const py::Ref pool = optional_attribute(o, "pool");
    r.pool = !r.coroutine && (pool ? pool.get() == Py_True : pool_by_default);
    if (const py::Ref status = optional_attribute(o, "status_code")) {
        r.status = static_cast<int>(PyLong_AsLong(status.get()));
        if (PyErr_Occurred() != nullptr) py::must_not_fail(-1);
    }
    const py::Ref cancel = optional_attribute(o, "cancel_on_disconnect");
    r.cancel_on_disconnect = cancel ? cancel.get() == Py_True : app_cancels;
    r.entry = optional_attribute(o, "entry");
    if (!r.entry) r.entry = entry;
    r.kind = r.coroutine || r.pool || r.entry ? Kind::coroutine : Kind::plain;

    const py::Ref list = fast_sequence(attribute(o, "params"));
    std::vector<std::pair<ParamPlan, PyObject*>> params;
    const std::string shown = "the endpoint of " + pattern.text();
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list.get()); ++i) {
        PyObject* param = PySequence_Fast_GET_ITEM(list.get(), i);
        params.emplace_back(read_param(param, pattern, shown), param);
        if (params.back().first.source == Source::request) r.wants_request = true;
    }
    // The order of FastAPI's errors: path, query, header, cookie, body.
    std::stable_sort(params.begin(), params.end(),
                     [](const auto& a, const auto& b) { return a.first.source < b.first.source; });
    r.names = py::must(PyTuple_New(static_cast<Py_ssize_t>(params.size())));
    for (std::size_t i = 0; i < params.size(); ++i) {
        // Interned, as CPython compares keywords by pointer first.
        PyObject* name = attribute(params[i].second, "name").release();
        PyUnicode_InternInPlace(&name);
        PyTuple_SET_ITEM(r.names.get(), static_cast<Py_ssize_t>(i), name);
        r.params.push_back(std::move(params[i].first));
    }
}

}  // namespace asioserve::app
