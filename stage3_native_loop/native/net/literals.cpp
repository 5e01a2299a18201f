#include "stage3_native_loop/native/net/literals.hpp"

#include <netdb.h>

#include "stage3_native_loop/native/core/module.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

// The others depend on the machine's interfaces (AI_ADDRCONFIG) or change the answer (AI_CANONNAME,
// AI_V4MAPPED).
constexpr int kPlainFlags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;

// More combinations than any program uses: who makes up new ones all the time is answered elsewhere.
constexpr std::size_t kMostForms = 512;

bool small_number(PyObject* object, int most, int& to) {
    if (!PyLong_Check(object)) return false;  // enumerations are numbers too
    int overflow = 0;
    const long n = PyLong_AsLongAndOverflow(object, &overflow);
    to = static_cast<int>(n);
    return overflow == 0 && n >= 0 && n <= most;
}

/// An int or digits; None is 0. Null, without an exception: something else.
Ref port_number(PyObject* port) {
    if (port == Py_None) return Ref::steal(PyLong_FromLong(0));
    int n = 0;
    if (PyLong_CheckExact(port)) return small_number(port, 0xffff, n) ? Ref::borrow(port) : Ref();
    if (!PyUnicode_CheckExact(port) || !PyUnicode_IS_ASCII(port)) return Ref();
    Py_ssize_t length = 0;
    const char* text = PyUnicode_AsUTF8AndSize(port, &length);
    if (!text || length < 1 || length > 5) return PyErr_Clear(), Ref();
    for (Py_ssize_t i = 0; i < length; ++i) {
        if (text[i] < '0' || text[i] > '9') return Ref();
        n = n * 10 + (text[i] - '0');
    }
    return n <= 0xffff ? Ref::steal(PyLong_FromLong(n)) : Ref();
}

/// AF_INET or AF_INET6, with the host as getaddrinfo() writes it; 0: it is no literal, or has a scope, which
/// takes a look at the interfaces.
int host_literal(PyObject* host, int family, Ref& text) {
    if (!PyUnicode_CheckExact(host) || !PyUnicode_IS_ASCII(host)) return 0;
    Py_ssize_t length = 0;
    const char* given = PyUnicode_AsUTF8AndSize(host, &length);
    if (!given) return PyErr_Clear(), 0;
    Address address;
    const auto size = static_cast<std::size_t>(length);
    // Four decimal numbers without needless zeros are written in one way only.
    if (family != AF_INET6 && parse_host(AF_INET, given, size, address))
        return text = Ref::borrow(host), AF_INET;
    if (family == AF_INET || !parse_host(AF_INET6, given, size, address)) return 0;
    text = host_text(address);
    return text ? AF_INET6 : 0;
}

}  // namespace

std::optional<std::vector<Literals::Form>> Literals::ask(int literal, const std::array<int, 4>& hints) {
    Ref answer =
        Ref::steal(PyObject_CallFunction(original_.get(), "siiiii", literal == AF_INET ? "127.0.0.1" : "::1",
                                         1, hints[0], hints[1], hints[2], hints[3] | AI_NUMERICHOST));
    if (!answer || !PyList_Check(answer.get())) return std::nullopt;
    std::vector<Form> forms;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(answer.get()); ++i) {
        PyObject* entry = PyList_GET_ITEM(answer.get(), i);
        if (!PyTuple_Check(entry) || PyTuple_GET_SIZE(entry) != 5) return std::nullopt;
        forms.push_back({Ref::borrow(PyTuple_GET_ITEM(entry, 0)), Ref::borrow(PyTuple_GET_ITEM(entry, 1)),
                         Ref::borrow(PyTuple_GET_ITEM(entry, 2)), Ref::borrow(PyTuple_GET_ITEM(entry, 3))});
    }
    return forms;
}

int Literals::traverse(visitproc visit, void* arg) const {
    Py_VISIT(socket_.get());
    Py_VISIT(original_.get());
    for (const auto& [hints, forms] : forms_)
        for (const Form& form : forms)
            for (const Ref* part : {&form.family, &form.type, &form.proto, &form.name}) Py_VISIT(part->get());
    return 0;
}

const std::vector<Literals::Form>* Literals::forms_of(int literal, const std::array<int, 4>& hints) {
    // Each hint is at most 0x7fff here.
    std::uint64_t key = literal == AF_INET ? 0 : 1;
    for (const int hint : hints) key = key << 15 | static_cast<std::uint64_t>(hint);
    const auto known = forms_.find(key);
    if (known != forms_.end()) return &known->second;
    if (forms_.size() >= kMostForms) return nullptr;
    std::optional<std::vector<Form>> forms = ask(literal, hints);
    // An error is for the caller of getaddrinfo() to see, from the real one.
    if (!forms) return PyErr_Clear(), nullptr;
    return &forms_.emplace(key, std::move(*forms)).first->second;
}

PyObject* Literals::find(PyObject* host, PyObject* port, PyObject* const* given) {
    std::array<int, 4> hints{};
    for (std::size_t i = 0; i < hints.size(); ++i)
        if (!small_number(given[i], 0x7fff, hints[i])) return new_reference(Py_None);
    const int family = hints[0];
    if ((hints[3] & ~kPlainFlags) != 0 || (family != AF_UNSPEC && family != AF_INET && family != AF_INET6))
        return new_reference(Py_None);
    Ref text;
    const int literal = host_literal(host, family, text);
    Ref number = literal ? port_number(port) : Ref();
    if (!number) return PyErr_Occurred() ? nullptr : new_reference(Py_None);
    Ref current = Ref::steal(PyObject_GetAttr(socket_.get(), attribute_.get()));
    if (!current) return nullptr;
    if (current.get() != original_.get()) return new_reference(Py_None);
    const std::vector<Form>* forms = forms_of(literal, hints);
    if (!forms) return new_reference(Py_None);

    Ref list = Ref::steal(PyList_New(static_cast<Py_ssize_t>(forms->size())));
    if (!list) return nullptr;
    Py_ssize_t i = 0;
    for (const Form& form : *forms) {
        Ref where = Ref::steal(literal == AF_INET ? PyTuple_Pack(2, text.get(), number.get())
                                                  : Py_BuildValue("(OOii)", text.get(), number.get(), 0, 0));
        PyObject* entry = where ? PyTuple_Pack(5, form.family.get(), form.type.get(), form.proto.get(),
                                               form.name.get(), where.get())
                                : nullptr;
        if (!entry) return nullptr;
        PyList_SET_ITEM(list.get(), i++, entry);
    }
    return list.release();
}

namespace {

PyObject* literal_addresses(PyObject* module, PyObject* const* values, Py_ssize_t n) {
    if (n != 6) return PyErr_Format(PyExc_TypeError, "six arguments are needed, not %zd", n);
    return state_of_module(module).literals.find(values[0], values[1], values + 2);
}

PyMethodDef functions[] = {
    {"literal_addresses", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&literal_addresses)),
     METH_FASTCALL,
     "literal_addresses($module, host, port, family, type, proto, flags, /)\n--\n\nWhat socket.getaddrinfo() "
     "returns for a host in digits; None where it must be asked itself."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool Literals::load(PyObject* module) {
    socket_ = Ref::steal(PyImport_ImportModule("socket"));
    attribute_ = Ref::steal(PyUnicode_InternFromString("getaddrinfo"));
    if (!socket_ || !attribute_) return false;
    original_ = Ref::steal(PyObject_GetAttr(socket_.get(), attribute_.get()));
    return original_ && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace asioloop
