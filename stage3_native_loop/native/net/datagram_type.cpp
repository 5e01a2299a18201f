// The Python type _asioloop.DatagramTransport: argument parsing in front of Datagram, for asioloop's
// transport to derive from.
#include <cstddef>
#include <new>

#include "stage3_native_loop/native/core/as_method.hpp"
#include "stage3_native_loop/native/core/module.hpp"
#include "stage3_native_loop/native/net/datagram.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

/// Lies over an instance of asyncio.DatagramTransport, whose one field, the extra information, is ours to
/// visit and to clear.
struct DatagramObject {
    PyObject_HEAD PyObject* extra;
    alignas(Datagram) std::byte storage[sizeof(Datagram)];
};

Datagram& datagram(PyObject* self) {
    return *std::launder(reinterpret_cast<Datagram*>(reinterpret_cast<DatagramObject*>(self)->storage));
}

PyObject* none_if(bool ok) {
    return ok ? new_reference(Py_None) : nullptr;
}

PyObject* or_none(PyObject* o) {
    return new_reference(o ? o : Py_None);
}

// --- life
// -------------------------------------------------------------------------------------------------------

PyObject* datagram_new(PyTypeObject* type, PyObject*, PyObject*) {
    ModuleState* module = state_of(type);
    PyObject* self = module ? type->tp_alloc(type, 0) : nullptr;
    if (self) new (reinterpret_cast<DatagramObject*>(self)->storage) Datagram(*module, self);
    return self;
}

int datagram_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(reinterpret_cast<DatagramObject*>(self)->extra);
    return datagram(self).traverse(visit, arg);
}

int datagram_clear(PyObject* self) {
    asioserve::py::clear(reinterpret_cast<DatagramObject*>(self)->extra);
    datagram(self).clear();
    return 0;
}

void datagram_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    datagram(self).~Datagram();
    asioserve::py::clear(reinterpret_cast<DatagramObject*>(self)->extra);
    type->tp_free(self);
    asioserve::py::drop(reinterpret_cast<PyObject*>(type));
}

PyObject* open_datagram(PyObject* self, PyObject* args) {
    PyObject *loop = nullptr, *sock = nullptr, *protocol = nullptr, *address = nullptr;
    int fd = -1, family = 0, kind = 0, connected = 0;
    if (!PyArg_ParseTuple(args, "OOiiiOOp", &loop, &sock, &fd, &family, &kind, &protocol, &address,
                          &connected))
        return nullptr;
    const auto k = static_cast<Datagram::Kind>(kind);
    if (!datagram(self).open(loop, sock, fd, family, k, address, connected != 0)) return nullptr;
    datagram(self).set_protocol(protocol);
    return new_reference(Py_None);
}

PyObject* dispose(PyObject* self, PyObject*) {
    Ref sock = datagram(self).dispose();
    return sock ? sock.release() : new_reference(Py_None);
}

// --- methods
// ----------------------------------------------------------------------------------------------------

PyObject* send_to_slow(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    Ref positional = Ref::steal(PyTuple_New(n));
    Ref named = Ref::steal(PyDict_New());
    if (!positional || !named) return nullptr;
    for (Py_ssize_t i = 0; i < n; ++i) PyTuple_SET_ITEM(positional.get(), i, new_reference(values[i]));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i)
        if (PyDict_SetItem(named.get(), PyTuple_GET_ITEM(names, i), values[n + i]) < 0) return nullptr;
    static const char* const keywords[] = {"data", "addr", nullptr};
    PyObject *data = nullptr, *address = Py_None;
    if (!PyArg_ParseTupleAndKeywords(positional.get(), named.get(), "O|O:sendto",
                                     const_cast<char**>(keywords), &data, &address))
        return nullptr;
    return none_if(datagram(self).send_to(data, address));
}

PyObject* send_to(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    if (names) return send_to_slow(self, values, n, names);
    if (n != 1 && n != 2)
        return PyErr_Format(PyExc_TypeError, "sendto() takes data and, perhaps, addr (%zd given)", n);
    return none_if(datagram(self).send_to(values[0], n == 2 ? values[1] : Py_None));
}

PyObject* set_protocol(PyObject* self, PyObject* args, PyObject* named) {
    static const char* const keywords[] = {"protocol", nullptr};
    PyObject* protocol = nullptr;
    if (!PyArg_ParseTupleAndKeywords(args, named, "O:set_protocol", const_cast<char**>(keywords), &protocol))
        return nullptr;
    datagram(self).set_protocol(protocol);
    return new_reference(Py_None);
}
PyObject* is_closing(PyObject* self, PyObject*) {
    return PyBool_FromLong(datagram(self).closing());
}
PyObject* is_reading(PyObject* self, PyObject*) {
    return PyBool_FromLong(datagram(self).is_reading());
}
PyObject* close_datagram(PyObject* self, PyObject*) {
    return none_if(datagram(self).close());
}
PyObject* abort_datagram(PyObject* self, PyObject*) {
    return none_if(datagram(self).force_close(Py_None));
}
PyObject* force_close(PyObject* self, PyObject* exc) {
    return none_if(datagram(self).force_close(exc));
}
PyObject* pause_reading(PyObject* self, PyObject*) {
    return none_if(datagram(self).pause_reading());
}
PyObject* resume_reading(PyObject* self, PyObject*) {
    return none_if(datagram(self).resume_reading());
}
PyObject* start_reading(PyObject* self, PyObject*) {
    return none_if(datagram(self).start_reading());
}
PyObject* read_ready(PyObject* self, PyObject*) {
    return none_if(datagram(self).ready(false));
}
PyObject* sendto_ready(PyObject* self, PyObject*) {
    return none_if(datagram(self).ready(true));
}
PyObject* get_protocol(PyObject* self, PyObject*) {
    return or_none(datagram(self).protocol());
}
PyObject* get_write_buffer_size(PyObject* self, PyObject*) {
    return PyLong_FromSize_t(datagram(self).write_buffer_size());
}
PyObject* get_write_buffer_limits(PyObject* self, PyObject*) {
    Datagram& d = datagram(self);
    if (!d.high_water()) return Py_BuildValue("(ii)", 16 * 1024, 64 * 1024);
    return Py_BuildValue("(OO)", d.low_water(), d.high_water());
}
PyObject* set_limits(PyObject* self, PyObject* args) {
    PyObject *high = nullptr, *low = nullptr;
    return none_if(PyArg_ParseTuple(args, "OO", &high, &low) && datagram(self).set_limits(high, low));
}

PyMethodDef methods[] = {
    {"sendto", as_method(&send_to), METH_FASTCALL | METH_KEYWORDS,
     "sendto($self, data, addr=None)\n--\n\nSend a datagram, or keep it until there is room."},
    {"close", &close_datagram, METH_NOARGS,
     "close($self)\n--\n\nStop receiving; connection_lost(None) once all is sent."},
    {"abort", &abort_datagram, METH_NOARGS,
     "abort($self)\n--\n\nConnection_lost(None) in the next turn; what is not sent is lost."},
    {"is_closing", &is_closing, METH_NOARGS, "is_closing($self)\n--\n\nTrue once it closes or is closed."},
    {"pause_reading", &pause_reading, METH_NOARGS,
     "pause_reading($self)\n--\n\nNo datagram_received() until resume_reading()."},
    {"resume_reading", &resume_reading, METH_NOARGS, "resume_reading($self)\n--\n\nReceive again."},
    {"is_reading", &is_reading, METH_NOARGS,
     "is_reading($self)\n--\n\nTrue while it is neither paused nor closing."},
    {"set_protocol", as_method(&set_protocol), METH_VARARGS | METH_KEYWORDS,
     "set_protocol($self, protocol)\n--\n\nTell another protocol from now on."},
    {"get_protocol", &get_protocol, METH_NOARGS, "get_protocol($self)\n--\n\nThe current protocol."},
    {"get_write_buffer_size", &get_write_buffer_size, METH_NOARGS,
     "get_write_buffer_size($self)\n--\n\nBytes that are not sent yet, as asyncio counts them."},
    {"get_write_buffer_limits", &get_write_buffer_limits, METH_NOARGS,
     "get_write_buffer_limits($self)\n--\n\nThe water marks (low, high)."},
    {"_set_limits", &set_limits, METH_VARARGS, "(high, low)"},
    {"_force_close", &force_close, METH_O, "connection_lost(exc) in the next turn."},
    {"_start_reading", &start_reading, METH_NOARGS, "After connection_made()."},
    {"_read_ready", &read_ready, METH_NOARGS, "Receive, as when something has arrived."},
    {"_sendto_ready", &sendto_ready, METH_NOARGS, "Send, as when there is room."},
    {"_open", &open_datagram, METH_VARARGS, "(loop, sock, fd, family, kind, protocol, address, connected)"},
    {"_dispose", &dispose, METH_NOARGS, "Forget all; return the socket, for the caller to close."},
    {nullptr, nullptr, 0, nullptr},
};

// --- what other parts of asyncio, and repr(), look at
// ----------------------------------------------------------------------------

template <auto field>
PyObject* object_field(PyObject* self, void*) {
    return or_none((datagram(self).*field)());
}

template <auto field>
PyObject* truth_field(PyObject* self, void*) {
    return PyBool_FromLong((datagram(self).*field)());
}

PyObject* fd_field(PyObject* self, void*) {
    return PyLong_FromLong(datagram(self).fd());
}

PyGetSetDef fields[] = {
    {"_loop", &object_field<&Datagram::loop>, nullptr, nullptr, nullptr},
    {"_sock", &object_field<&Datagram::sock>, nullptr, nullptr, nullptr},
    {"_sock_fd", &fd_field, nullptr, nullptr, nullptr},
    {"_address", &object_field<&Datagram::address>, nullptr, nullptr, nullptr},
    {"_protocol", &object_field<&Datagram::protocol>, nullptr, nullptr, nullptr},
    {"_protocol_connected", &truth_field<&Datagram::protocol_connected>, nullptr, nullptr, nullptr},
    {"_protocol_paused", &truth_field<&Datagram::protocol_paused>, nullptr, nullptr, nullptr},
    {"_reads", &truth_field<&Datagram::reading>, nullptr, "Whether it waits for something to arrive.",
     nullptr},
    {"_writes", &truth_field<&Datagram::refused>, nullptr, "Whether it waits for room to send.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(
                    "The native part of asioloop's datagram transport: receiving, sending, flow control.")},
    {Py_tp_new, reinterpret_cast<void*>(&datagram_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&datagram_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(&datagram_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(&datagram_clear)},
    {Py_tp_methods, methods},
    {Py_tp_getset, fields},
    {0, nullptr},
};

PyType_Spec spec = {
    "_asioloop.DatagramTransport",
    sizeof(DatagramObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    slots,
};

}  // namespace

PyObject* make_datagram_type(PyObject* module) {
    Ref transports = Ref::steal(PyImport_ImportModule("asyncio.transports"));
    Ref base =
        Ref::steal(transports ? PyObject_GetAttrString(transports.get(), "DatagramTransport") : nullptr);
    if (!base) return nullptr;
    auto* type = reinterpret_cast<PyTypeObject*>(base.get());
    if (type->tp_basicsize != offsetof(DatagramObject, extra) + sizeof(PyObject*) ||
        type->tp_dictoffset != 0) {
        PyErr_SetString(PyExc_ImportError, "asyncio's transports keep their fields in an unknown way");
        return nullptr;
    }
    return PyType_FromModuleAndSpec(module, &spec, base.get());
}

}  // namespace asioloop
