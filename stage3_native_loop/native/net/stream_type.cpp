// The Python type _asioloop.StreamTransport: argument parsing in front of Stream, for asioloop's transport to
// derive from.
#include <array>
#include <cstddef>
#include <new>

#include "stage3_native_loop/native/core/as_method.hpp"
#include "stage3_native_loop/native/core/module.hpp"
#include "stage3_native_loop/native/net/connect.hpp"
#include "stage3_native_loop/native/net/stream.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

/// Lies over an instance of asyncio's _FlowControlMixin, the Transport that sendfile() insists on. Its fields
/// are ours to visit and to clear; all but the extra information stay empty, as ours shadow them.
struct StreamObject {
    PyObject_HEAD PyObject* inherited[5];  // the first is the dict of the extra information
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
    PyObject *loop = nullptr, *protocol = nullptr, *server = nullptr, *waiter = nullptr;
    Stream::Connection connection;
    int kind = 0, no_delay = 0;
    if (!PyArg_ParseTuple(args, "OOiipOOO", &loop, &connection.sock, &connection.fd, &kind, &no_delay,
                          &protocol, &server, &waiter))
        return nullptr;
    connection.kind = static_cast<Stream::Kind>(kind);
    connection.no_delay = no_delay != 0;
    return none_if(stream(self).open(loop, connection, protocol, server, waiter));
}

PyObject* adopt(PyObject* cls, PyObject* args) {
    PyObject *loop = nullptr, *protocol = nullptr, *waiter = nullptr;
    Stream::Connection connection;
    int local = 0;
    if (!PyArg_ParseTuple(args, "OiOOp", &loop, &connection.fd, &protocol, &waiter, &local)) return nullptr;
    connection.kind = local ? Stream::Kind::unix_domain : Stream::Kind::tcp;
    connection.no_delay = !local;
    return make_stream(cls, loop, connection, protocol, Py_None, waiter).release();
}

PyObject* owner_of(PyObject* cls, PyObject* args) {
    PyObject* loop = nullptr;
    int fd = -1;
    ModuleState* module = state_of(reinterpret_cast<PyTypeObject*>(cls));
    if (!module || !PyArg_ParseTuple(args, "O!i", module->loop_type.get(), &loop, &fd)) return nullptr;
    const Stream* owner = core_of(loop)->streams().find(fd);
    // Who looks may be what the end of that very transport runs: it must not come back to life.
    if (!owner || owner->lends_descriptor() || Py_REFCNT(owner->self()) == 0) return new_reference(Py_None);
    return new_reference(owner->self());
}

PyObject* lose(PyObject* self, PyObject* exc) {
    return none_if(stream(self).lose(exc));
}

PyObject* close_socket(PyObject* self, PyObject*) {
    return none_if(stream(self).close_socket() && stream(self).leave_server());
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

/// What the extra information has not been given, but the stream knows. Null without an exception: nothing.
Ref known_info(PyObject* self, PyObject* name) {
    if (!PyUnicode_Check(name)) return {};
    const auto is = [name](const char* text) { return PyUnicode_CompareWithASCIIString(name, text) == 0; };
    if (stream(self).fd() < 0) return {};
    if (is("peername")) return stream(self).peer_name().object();
    if (is("sockname")) return stream(self).name().object();
    if (is("socket")) return Ref::steal(PyObject_CallMethod(self, "_socket_info", nullptr));
    return {};
}

PyObject* get_extra_info(PyObject* self, PyObject* args, PyObject* named) {
    constexpr std::array names{"name", "default", static_cast<const char*>(nullptr)};
    PyObject *name = nullptr, *fallback = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, named, "O|O:get_extra_info", const_cast<char**>(names.data()),
                                     &name, &fallback))
        return nullptr;
    const Ref info = Ref::borrow(reinterpret_cast<StreamObject*>(self)->inherited[0]);
    if (!info) return new_reference(fallback);
    // Whoever has the descriptor may send by it.
    if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, "socket") == 0 &&
        !stream(self).flush())
        return nullptr;
    if (PyObject* found = PyDict_GetItemWithError(info.get(), name)) return new_reference(found);
    if (PyErr_Occurred()) return nullptr;
    Ref known = known_info(self, name);
    if (!known) return PyErr_Occurred() ? nullptr : new_reference(fallback);
    if (PyDict_SetItem(info.get(), name, known.get()) < 0) return nullptr;
    return known.release();
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
    if (!stream(self).flush()) return nullptr;
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
    {"get_extra_info", as_method(&get_extra_info), METH_VARARGS | METH_KEYWORDS,
     "get_extra_info($self, name, default=None)\n--\n\nWhat is known of the connection: 'socket', "
     "'sockname', "
     "'peername'."},
    {"_open", &open_stream, METH_VARARGS, "(loop, sock, fd, kind, no_delay, protocol, server, waiter)"},
    {"_adopt", &adopt, METH_VARARGS | METH_CLASS,
     "(loop, fd, protocol, waiter, local) -> transport\n\nOver a TCP or (local) a Unix connection, whose "
     "descriptor is the transport's from now on."},
    {"_owner_of", &owner_of, METH_VARARGS | METH_CLASS,
     "(loop, fd) -> the transport that nobody may watch the descriptor of besides; None: there is none."},
    {"_connect_here", &connect_here, METH_VARARGS | METH_STATIC,
     "(host, port) -> (descriptor, connected), or None: it is no loopback address in digits."},
    {"_connect_unix", &connect_unix, METH_O | METH_STATIC,
     "(path) -> descriptor, or None: it is not there at once."},
    {"_lose", &lose, METH_O, "connection_lost(exc), and the socket is closed."},
    {"_close_socket", &close_socket, METH_NOARGS, "Close the socket of a transport that nobody has closed."},
    {nullptr, nullptr, 0, nullptr},
};

// --- what other parts of asyncio look at
// ----------------------------------------------------------------------------

template <auto field>
PyObject* object_field(PyObject* self, void*) {
    return or_none((stream(self).*field)());
}

/// Made now, if the stream has but a number.
PyObject* sock_field(PyObject* self, void*) {
    if (!stream(self).is_open()) return new_reference(Py_None);
    if (PyObject* sock = stream(self).sock()) return new_reference(sock);
    Ref sock = Ref::steal(PyObject_CallMethod(self, "_make_socket", "i", stream(self).fd()));
    if (!sock) return nullptr;
    stream(self).show_socket(sock);
    return sock.release();
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

PyGetSetDef fields[] = {
    {"_loop", &object_field<&Stream::loop>, nullptr, nullptr, nullptr},
    {"_sock", &sock_field, nullptr, nullptr, nullptr},
    {"_is_open", &truth_field<&Stream::is_open>, nullptr, "Whether the socket is still to be closed.",
     nullptr},
    {"_sock_fd", &fd_field, nullptr, nullptr, nullptr},
    {"_protocol", &object_field<&Stream::protocol>, nullptr, nullptr, nullptr},
    {"_protocol_connected", &truth_field<&Stream::protocol_connected>, nullptr, nullptr, nullptr},
    {"_protocol_paused", &truth_field<&Stream::protocol_paused>, nullptr, nullptr, nullptr},
    {"_empty_waiter", &object_field<&Stream::empty_waiter>, nullptr, nullptr, nullptr},
    {"_server", &server_field, nullptr, nullptr, nullptr},
    {"_reads", &truth_field<&Stream::reading>, nullptr, "Whether it waits for something to arrive.", nullptr},
    {"_writes", &truth_field<&Stream::waits_for_room>, nullptr, "Whether it waits for room to write.",
     nullptr},
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

asioserve::py::Ref make_stream(PyObject* cls, PyObject* loop, const Stream::Connection& connection,
                               PyObject* protocol, PyObject* server, PyObject* waiter) {
    Ref self = Ref::steal(stream_new(reinterpret_cast<PyTypeObject*>(cls), nullptr, nullptr));
    if (!self) return {};
    reinterpret_cast<StreamObject*>(self.get())->inherited[0] = PyDict_New();
    if (!reinterpret_cast<StreamObject*>(self.get())->inherited[0]) return {};
    if (!stream(self.get()).open(loop, connection, protocol, server, waiter)) return {};
    return self;
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
