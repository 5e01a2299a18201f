#include "stage3_native_loop/native/net/tls.hpp"

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/stream.hpp"

namespace asioloop {

using asioserve::py::Ref;

bool Tls::bind(PyObject* loop, Functions functions) {
    if (!PyObject_TypeCheck(loop, reinterpret_cast<PyTypeObject*>(module_.loop_type.get()))) {
        PyErr_Format(PyExc_TypeError, "an asioloop.Loop is needed, not %R", loop);
        return false;
    }
    if (core_) return PyErr_SetString(PyExc_RuntimeError, "the protocol is bound already"), false;
    core_ = core_of(loop);
    loop_ = Ref::borrow(loop);
    ssl_ = std::move(functions);
    if (!protocol_) protocol_ = Ref::borrow(Py_None);
    // One of the program's own may give less than a record.
    if (!ssl_.native) frames_.lost();
    return true;
}

void Tls::attach(PyObject* transport) {
    stream_ = transport ? stream_of(module_, transport) : nullptr;
    transport_ = Ref::borrow(transport);
}

void Tls::set_protocol(PyObject* protocol, bool buffered) {
    buffered_ = buffered;
    protocol_ = Ref::borrow(protocol);
}

int Tls::traverse(visitproc visit, void* arg) {
    if (const int r = keeps_module_.traverse(visit, arg)) return r;
    for (const Ref* r : {&loop_, &transport_, &protocol_, &ssl_.read, &ssl_.write, &ssl_.incoming, &ssl_.feed,
                         &ssl_.outgoing, &ssl_.drain, &ssl_.again})
        Py_VISIT(r->get());
    return 0;
}

void Tls::clear() {
    // Without a loop nothing here does anything. Each field is empty before what was in it goes, and perhaps
    // runs code.
    core_ = nullptr;
    stream_ = nullptr;
    for (Ref* r : {&loop_, &transport_, &protocol_, &ssl_.read, &ssl_.write, &ssl_.incoming, &ssl_.feed,
                   &ssl_.outgoing, &ssl_.drain, &ssl_.again})
        r->reset();
}

bool Tls::call(const char* method) {
    return static_cast<bool>(Ref::steal(PyObject_CallMethod(self_, method, nullptr)));
}

/// What asyncio does with any exception of its own or of the protocol's; those that are none of its business
/// (KeyboardInterrupt, say) stay set.
bool Tls::fatal() {
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return false;
    asioserve::py::gil.assert_held();
    Ref error = asioserve::py::take_raised();
    return static_cast<bool>(Ref::steal(
        PyObject_CallMethod(self_, "_fatal_error", "Os", error.get(), "Fatal error on SSL protocol")));
}

}  // namespace asioloop
