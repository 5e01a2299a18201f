// The Python type _asioloop.StreamTransport: argument parsing in front of Stream, for asioloop's transport to
// derive from.
#include <cstddef>
#include <new>

#include "stage3_native_loop/native/core/module.hpp"
#include "stage3_native_loop/native/net/stream.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

/// Lies over an instance of asyncio's _FlowControlMixin, the Transport that sendfile() insists on. Its fields
/// are ours to visit and to clear; all but the extra information stay empty, as ours shadow them.
struct StreamObject {
    PyObject_HEAD PyObject* inherited[5];
    alignas(Stream) std::byte storage[sizeof(Stream)];
};

Stream& stream(PyObject* self) {
    return *std::launder(reinterpret_cast<Stream*>(reinterpret_cast<StreamObject*>(self)->storage));
}

PyObject* none_if(bool ok) {
    return ok ? new_reference(Py_None) : nullptr;
}

PyObject* or_none(PyObject* o) {
    return new_reference(o ? o : Py_None);
}

// --- life
// -------------------------------------------------------------------------------------------------------

PyObject* stream_new(PyTypeObject* type, PyObject*, PyObject*) {
    ModuleState* module = state_of(type);
    PyObject* self = module ? type->tp_alloc(type, 0) : nullptr;
    if (self) new (reinterpret_cast<StreamObject*>(self)->storage) Stream(*module, self);
    return self;
}

int stream_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    for (PyObject* field : reinterpret_cast<StreamObject*>(self)->inherited) Py_VISIT(field);
    return stream(self).traverse(visit, arg);
}

int stream_clear(PyObject* self) {
    for (PyObject*& field : reinterpret_cast<StreamObject*>(self)->inherited) asioserve::py::clear(field);
    stream(self).clear();
    return 0;
}

void stream_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    stream(self).~Stream();
    for (PyObject*& field : reinterpret_cast<StreamObject*>(self)->inherited) asioserve::py::clear(field);
    type->tp_free(self);
    asioserve::py::drop(reinterpret_cast<PyObject*>(type));
}

PyObject* open_stream(PyObject* self, PyObject* args) {
    PyObject *loop = nullptr, *sock = nullptr, *protocol = nullptr, *server = nullptr;
    int fd = -1, kind = 0;
    if (!PyArg_ParseTuple(args, "OOiiOO", &loop, &sock, &fd, &kind, &protocol, &server)) return nullptr;
    if (!stream(self).open(loop, sock, fd, static_cast<Stream::Kind>(kind))) return nullptr;
    stream(self).server = Ref::borrow(server);
    return none_if(stream(self).set_protocol(protocol));
}

PyObject* dispose(PyObject* self, PyObject*) {
    Ref sock = stream(self).dispose();
    return sock ? sock.release() : new_reference(Py_None);
}

// --- methods
// ----------------------------------------------------------------------------------------------------

/// The one argument of a method, by position or by its name.
PyObject* only(const char* method, const char* name, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    const Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
    if (n + named == 1 &&
        (named == 0 || PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), name) == 0))
        return values[0];
    PyErr_Format(PyExc_TypeError, "%s() takes exactly one argument, '%s'", method, name);
    return nullptr;
}

PyObject* write(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    PyObject* data = only("write", "data", values, n, names);
    return none_if(data && stream(self).write(data));
}

PyObject* write_lines(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    PyObject* list = only("writelines", "list_of_data", values, n, names);
    return none_if(list && stream(self).write_lines(list));
}

PyObject* set_protocol(PyObject* self, PyObject* const* values, Py_ssize_t n, PyObject* names) {
    PyObject* protocol = only("set_protocol", "protocol", values, n, names);
    return none_if(protocol && stream(self).set_protocol(protocol));
}

PyObject* can_write_eof(PyObject*, PyObject*) {
    return new_reference(Py_True);
}
PyObject* is_closing(PyObject* self, PyObject*) {
    return PyBool_FromLong(stream(self).closing());
}
PyObject* is_reading(PyObject* self, PyObject*) {
    return PyBool_FromLong(stream(self).is_reading());
}
PyObject* write_eof(PyObject* self, PyObject*) {
    return none_if(stream(self).write_eof());
}
PyObject* close_stream(PyObject* self, PyObject*) {
    return none_if(stream(self).close());
}
PyObject* abort_stream(PyObject* self, PyObject*) {
    return none_if(stream(self).force_close(Py_None));
}
PyObject* force_close(PyObject* self, PyObject* exc) {
    return none_if(stream(self).force_close(exc));
}
PyObject* pause_reading(PyObject* self, PyObject*) {
    return none_if(stream(self).pause_reading());
}
PyObject* resume_reading(PyObject* self, PyObject*) {
    return none_if(stream(self).resume_reading());
}
PyObject* start_reading(PyObject* self, PyObject*) {
    return none_if(stream(self).start_reading());
}
PyObject* read_ready(PyObject* self, PyObject*) {
    return none_if(stream(self).run(false));
}
PyObject* write_ready(PyObject* self, PyObject*) {
    return none_if(stream(self).run(true));
}
PyObject* get_protocol(PyObject* self, PyObject*) {
    return or_none(stream(self).protocol());
}
PyObject* get_write_buffer_size(PyObject* self, PyObject*) {
    return PyLong_FromSize_t(stream(self).write_buffer_size());
}
PyObject* get_write_buffer_limits(PyObject* self, PyObject*) {
    Stream& s = stream(self);
    if (!s.high_water()) return Py_BuildValue("(ii)", 16 * 1024, 64 * 1024);
    return Py_BuildValue("(OO)", s.low_water(), s.high_water());
}
PyObject* set_limits(PyObject* self, PyObject* args) {
    PyObject *high = nullptr, *low = nullptr;
    return none_if(PyArg_ParseTuple(args, "OO", &high, &low) && stream(self).set_limits(high, low));
}
PyObject* set_empty_waiter(PyObject* self, PyObject* waiter) {
    return none_if(stream(self).set_empty_waiter(waiter));
}

template <class F>
PyCFunction as_method(F f) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}

PyMethodDef methods[] = {
    {"write", as_method(&write), METH_FASTCALL | METH_KEYWORDS,
     "write($self, data)\n--\n\nSend data, or keep what cannot be sent yet."},
    {"writelines", as_method(&write_lines), METH_FASTCALL | METH_KEYWORDS,
     "writelines($self, list_of_data)\n--\n\nSend several buffers, by one system call where that is "
     "possible."},
    {"write_eof", &write_eof, METH_NOARGS,
     "write_eof($self)\n--\n\nClose the sending side once all is sent; more can be received."},
    {"can_write_eof", &can_write_eof, METH_NOARGS, "can_write_eof($self)\n--\n\nTrue: write_eof() works."},
    {"close", &close_stream, METH_NOARGS,
     "close($self)\n--\n\nStop reading; connection_lost(None) once all is sent."},
    {"abort", &abort_stream, METH_NOARGS,
     "abort($self)\n--\n\nConnection_lost(None) in the next turn; what is not sent is lost."},
    {"is_closing", &is_closing, METH_NOARGS, "is_closing($self)\n--\n\nTrue once it closes or is closed."},
    {"pause_reading", &pause_reading, METH_NOARGS,
     "pause_reading($self)\n--\n\nNo data_received() until resume_reading()."},
    {"resume_reading", &resume_reading, METH_NOARGS, "resume_reading($self)\n--\n\nRead again."},
    {"is_reading", &is_reading, METH_NOARGS,
     "is_reading($self)\n--\n\nTrue while it is neither paused nor closing."},
    {"set_protocol", as_method(&set_protocol), METH_FASTCALL | METH_KEYWORDS,
     "set_protocol($self, protocol)\n--\n\nTell another protocol from now on."},
    {"get_protocol", &get_protocol, METH_NOARGS, "get_protocol($self)\n--\n\nThe current protocol."},
    {"get_write_buffer_size", &get_write_buffer_size, METH_NOARGS,
     "get_write_buffer_size($self)\n--\n\nBytes that are not sent yet."},
    {"get_write_buffer_limits", &get_write_buffer_limits, METH_NOARGS,
     "get_write_buffer_limits($self)\n--\n\nThe water marks (low, high)."},
    {"_set_limits", &set_limits, METH_VARARGS, "(high, low)"},
    {"_set_empty_waiter", &set_empty_waiter, METH_O, "(future or None)"},
    {"_force_close", &force_close, METH_O, "connection_lost(exc) in the next turn."},
    {"_start_reading", &start_reading, METH_NOARGS, "After connection_made()."},
    {"_read_ready", &read_ready, METH_NOARGS, "Read, as when something has arrived."},
    {"_write_ready", &write_ready, METH_NOARGS, "Send, as when there is room."},
    {"_open", &open_stream, METH_VARARGS, "(loop, sock, fd, kind, protocol, server)"},
    {"_dispose", &dispose, METH_NOARGS, "Forget all; return the socket, for the caller to close."},
    {nullptr, nullptr, 0, nullptr},
};

// --- what other parts of asyncio look at
// ----------------------------------------------------------------------------

template <auto field>
PyObject* object_field(PyObject* self, void*) {
    return or_none((stream(self).*field)());
}

template <auto field>
PyObject* truth_field(PyObject* self, void*) {
    return PyBool_FromLong((stream(self).*field)());
}

PyObject* fd_field(PyObject* self, void*) {
    return PyLong_FromLong(stream(self).fd());
}

PyObject* server_field(PyObject* self, void*) {
    return or_none(stream(self).server.get());
}

PyObject* waits_to_write(PyObject* self, void*) {
    return PyBool_FromLong(stream(self).write_buffer_size() > 0);
}

PyGetSetDef fields[] = {
    {"_loop", &object_field<&Stream::loop>, nullptr, nullptr, nullptr},
    {"_sock", &object_field<&Stream::sock>, nullptr, nullptr, nullptr},
    {"_sock_fd", &fd_field, nullptr, nullptr, nullptr},
    {"_protocol", &object_field<&Stream::protocol>, nullptr, nullptr, nullptr},
    {"_protocol_connected", &truth_field<&Stream::protocol_connected>, nullptr, nullptr, nullptr},
    {"_protocol_paused", &truth_field<&Stream::protocol_paused>, nullptr, nullptr, nullptr},
    {"_empty_waiter", &object_field<&Stream::empty_waiter>, nullptr, nullptr, nullptr},
    {"_server", &server_field, nullptr, nullptr, nullptr},
    {"_reads", &truth_field<&Stream::reading>, nullptr, "Whether it waits for something to arrive.", nullptr},
    {"_writes", &waits_to_write, nullptr, "Whether it waits for room to write.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("The native part of asioloop's stream transport: reading, writing, flow control.")},
    {Py_tp_new, reinterpret_cast<void*>(&stream_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&stream_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(&stream_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(&stream_clear)},
    {Py_tp_methods, methods},
    {Py_tp_getset, fields},
    {0, nullptr},
};

PyType_Spec spec = {
    "_asioloop.StreamTransport",
    sizeof(StreamObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    slots,
};

}  // namespace

Stream* stream_of(const ModuleState& module, PyObject* transport) {
    const bool ours =
        PyObject_TypeCheck(transport, reinterpret_cast<PyTypeObject*>(module.stream_type.get()));
    return ours ? &stream(transport) : nullptr;
}

PyObject* make_stream_type(PyObject* module) {
    Ref transports = Ref::steal(PyImport_ImportModule("asyncio.transports"));
    Ref base =
        Ref::steal(transports ? PyObject_GetAttrString(transports.get(), "_FlowControlMixin") : nullptr);
    if (!base) return nullptr;
    auto* type = reinterpret_cast<PyTypeObject*>(base.get());
    if (type->tp_basicsize != sizeof(StreamObject::inherited) + sizeof(PyObject) ||
        type->tp_dictoffset != 0) {
        PyErr_SetString(PyExc_ImportError, "asyncio's transports keep their fields in an unknown way");
        return nullptr;
    }
    return PyType_FromModuleAndSpec(module, &spec, base.get());
}

}  // namespace asioloop
