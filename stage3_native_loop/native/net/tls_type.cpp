// The Python type _asioloop.TlsProtocol: argument parsing in front of Tls, for asioloop's protocol to derive
// from.
#include <cstddef>
#include <new>

#include "stage3_native_loop/native/core/as_method.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/core/module.hpp"
#include "stage3_native_loop/native/net/tls.hpp"

// Not before Python.h, which it needs and does not include.
#include <structmember.h>

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

struct TlsObject {
    PyObject_HEAD TlsFields fields;
    alignas(Tls) std::byte storage[sizeof(Tls)];
};

Tls& tls(PyObject* self) {
    return *std::launder(reinterpret_cast<Tls*>(reinterpret_cast<TlsObject*>(self)->storage));
}

PyObject* none_if(bool ok) {
    return ok ? new_reference(Py_None) : nullptr;
}

// --- life
// -------------------------------------------------------------------------------------------------------

PyObject* tls_new(PyTypeObject* type, PyObject*, PyObject*) {
    ModuleState* module = state_of(type);
    PyObject* self = module ? type->tp_alloc(type, 0) : nullptr;
    auto* object = reinterpret_cast<TlsObject*>(self);
    if (self) new (object->storage) Tls(*module, self, object->fields);
    return self;
}

int tls_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    return tls(self).traverse(visit, arg);
}

int tls_clear(PyObject* self) {
    tls(self).clear();
    return 0;
}

void tls_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    tls(self).~Tls();
    type->tp_free(self);
    asioserve::py::drop(reinterpret_cast<PyObject*>(type));
}

PyObject* bind(PyObject* self, PyObject* args) {
    PyObject *loop = nullptr, *incoming = nullptr, *outgoing = nullptr, *ssl = nullptr, *again = nullptr;
    int native = 0;
    if (!PyArg_ParseTuple(args, "OOOOOp", &loop, &incoming, &outgoing, &ssl, &again, &native)) return nullptr;
    Tls::Functions f;
    f.read = Ref::steal(PyObject_GetAttrString(ssl, "read"));
    f.write = Ref::steal(PyObject_GetAttrString(ssl, "write"));
    f.incoming = Ref::borrow(incoming);
    f.feed = Ref::steal(PyObject_GetAttrString(incoming, "write"));
    f.outgoing = Ref::borrow(outgoing);
    f.drain = Ref::steal(PyObject_GetAttrString(outgoing, "read"));
    f.again = Ref::borrow(again);
    f.native = native != 0;
    if (!f.read || !f.write || !f.feed || !f.drain) return nullptr;
    return none_if(tls(self).bind(loop, std::move(f)));
}

// --- methods
// ----------------------------------------------------------------------------------------------------

PyObject* attach(PyObject* self, PyObject* transport) {
    tls(self).attach(transport == Py_None ? nullptr : transport);
    return new_reference(Py_None);
}

PyObject* set_protocol(PyObject* self, PyObject* args) {
    PyObject* protocol = nullptr;
    int buffered = 0;
    if (!PyArg_ParseTuple(args, "Op", &protocol, &buffered)) return nullptr;
    tls(self).set_protocol(protocol, buffered != 0);
    return new_reference(Py_None);
}

PyObject* set_limits(PyObject* self, PyObject* args) {
    Tls& t = tls(self);
    return none_if(PyArg_ParseTuple(args, "dddd", &t.read_high, &t.read_low, &t.write_high, &t.write_low) !=
                   0);
}

PyObject* write(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    const bool named = names && PyTuple_GET_SIZE(names) == 1 &&
                       PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "data") == 0;
    if (n + (named ? 1 : 0) == 1 && (named || !names || PyTuple_GET_SIZE(names) == 0))
        return none_if(tls(self).write(values[0]));
    PyErr_SetString(PyExc_TypeError, "write() takes exactly one argument, 'data'");
    return nullptr;
}

PyObject* queue(PyObject* self, PyObject* data) {
    return none_if(tls(self).queue(data));
}
PyObject* drop_queued(PyObject* self, PyObject*) {
    tls(self).drop_queued();
    return new_reference(Py_None);
}
PyObject* unseen(PyObject* self, PyObject*) {
    tls(self).unseen();
    return new_reference(Py_None);
}
PyObject* do_read(PyObject* self, PyObject*) {
    return none_if(tls(self).read());
}
PyObject* do_write(PyObject* self, PyObject*) {
    return none_if(tls(self).send_queued());
}
PyObject* process_outgoing(PyObject* self, PyObject*) {
    return none_if(tls(self).flush());
}
PyObject* pause_writing(PyObject* self, PyObject*) {
    reinterpret_cast<TlsObject*>(self)->fields.writing_paused = 1;
    return new_reference(Py_None);
}
PyObject* resume_writing(PyObject* self, PyObject*) {
    return none_if(tls(self).resume_writing());
}
PyObject* control_writing(PyObject* self, PyObject*) {
    return none_if(tls(self).control_writing());
}
PyObject* control_reading(PyObject* self, PyObject*) {
    return none_if(tls(self).control_reading());
}
PyObject* write_buffer_size(PyObject* self, PyObject*) {
    const Py_ssize_t n = tls(self).write_buffer_size();
    return n < 0 ? nullptr : PyLong_FromSsize_t(n);
}

// The names are asyncio's where the method takes the place of one of SSLProtocol's, which calls it.
PyMethodDef methods[] = {
    {"_bind", &bind, METH_VARARGS, "(loop, incoming BIO, outgoing BIO, SSLObject, again, native)"},
    {"_attach", &attach, METH_O, "The transport below, or None."},
    {"_set_core_protocol", &set_protocol, METH_VARARGS, "(protocol or None, buffered)"},
    {"_set_core_limits", &set_limits, METH_VARARGS, "(read_high, read_low, write_high, write_low)"},
    {"write", as_method(&write), METH_FASTCALL | METH_KEYWORDS,
     "write($self, data)\n--\n\nEncrypt and send data, or keep what cannot be sent yet."},
    {"_queue", &queue, METH_O, "Keep data, to be sent later."},
    {"_drop_queued", &drop_queued, METH_NOARGS, "Forget what is not sent yet."},
    {"_unseen", &unseen, METH_NOARGS, "Something was put into the incoming BIO by somebody else."},
    {"_do_read", &do_read, METH_NOARGS, "Decrypt and hand over what is there."},
    {"_do_write", &do_write, METH_NOARGS, "Encrypt and send what waits."},
    {"_process_outgoing", &process_outgoing, METH_NOARGS, "Send what is encrypted."},
    {"pause_writing", &pause_writing, METH_NOARGS, "The transport below has enough."},
    {"resume_writing", &resume_writing, METH_NOARGS, "The transport below takes more."},
    {"_control_app_writing", &control_writing, METH_NOARGS, "Pause or resume the protocol's writing."},
    {"_control_ssl_reading", &control_reading, METH_NOARGS, "Pause or resume the transport's reading."},
    {"_get_write_buffer_size", &write_buffer_size, METH_NOARGS, "Bytes that are not sent yet."},
    {nullptr, nullptr, 0, nullptr},
};

constexpr Py_ssize_t offset(std::size_t in_fields) {
    return static_cast<Py_ssize_t>(offsetof(TlsObject, fields) + in_fields);
}

PyMemberDef members[] = {
    {"_app_reading_paused", T_BOOL, offset(offsetof(TlsFields, app_reading_paused)), 0, nullptr},
    {"_app_writing_paused", T_BOOL, offset(offsetof(TlsFields, app_writing_paused)), 0, nullptr},
    {"_ssl_reading_paused", T_BOOL, offset(offsetof(TlsFields, reading_paused)), 0, nullptr},
    {"_ssl_writing_paused", T_BOOL, offset(offsetof(TlsFields, writing_paused)), 0, nullptr},
    {"_conn_lost", T_PYSSIZET, offset(offsetof(TlsFields, lost_writes)), 0, nullptr},
    {"_core_state", T_INT, offset(offsetof(TlsFields, state)), 0, "SSLProtocolState, counted."},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("The native part of asioloop's TLS protocol: decrypting, encrypting, flow control.")},
    {Py_tp_new, reinterpret_cast<void*>(&tls_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&tls_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(&tls_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(&tls_clear)},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {
    "_asioloop.TlsProtocol",
    sizeof(TlsObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    slots,
};

}  // namespace

PyObject* make_tls_type(PyObject* module) {
    return PyType_FromModuleAndSpec(module, &spec, nullptr);
}

NativeProtocol* native_protocol(const ModuleState& module, PyObject* protocol) {
    const bool ours = PyObject_TypeCheck(protocol, reinterpret_cast<PyTypeObject*>(module.tls_type.get()));
    return ours ? &tls(protocol) : nullptr;
}

}  // namespace asioloop
