// The Python type _asioloop.Acceptor.
#include <cstddef>
#include <new>

#include "stage3_native_loop/native/core/module.hpp"
#include "stage3_native_loop/native/net/acceptor.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

struct AcceptorObject {
    PyObject_HEAD alignas(Acceptor) std::byte storage[sizeof(Acceptor)];
};

Acceptor& acceptor(PyObject* self) {
    return *std::launder(reinterpret_cast<Acceptor*>(reinterpret_cast<AcceptorObject*>(self)->storage));
}

PyObject* acceptor_new(PyTypeObject* type, PyObject* args, PyObject*) {
    ModuleState* module = state_of(type);
    Acceptor::Parts parts;
    Acceptor::Ways ways;
    int kind = 0, no_delay = 0, all_by_hand = 0;
    if (!module || !PyArg_ParseTuple(args, "OOOOOOiippi", &parts.loop, &parts.transport_class, &parts.factory,
                                     &parts.server, &parts.by_hand, &parts.failed, &ways.fd, &kind, &no_delay,
                                     &all_by_hand, &ways.batch))
        return nullptr;
    ways.kind = static_cast<Stream::Kind>(kind);
    ways.no_delay = no_delay != 0;
    ways.all_by_hand = all_by_hand != 0;
    Ref self = Ref::steal(type->tp_alloc(type, 0));
    if (!self) return nullptr;
    new (reinterpret_cast<AcceptorObject*>(self.get())->storage) Acceptor(*module, self.get());
    if (!acceptor(self.get()).start(parts, ways)) return nullptr;
    return self.release();
}

int acceptor_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    return acceptor(self).traverse(visit, arg);
}

int acceptor_clear(PyObject* self) {
    acceptor(self).clear();
    return 0;
}

void acceptor_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    acceptor(self).~Acceptor();
    type->tp_free(self);
    asioserve::py::drop(reinterpret_cast<PyObject*>(type));
}

PyObject* accept(PyObject* self, PyObject*) {
    return acceptor(self).run(false) ? new_reference(Py_None) : nullptr;
}

PyObject* resume(PyObject* self, PyObject*) {
    acceptor(self).resume();
    return new_reference(Py_None);
}

PyObject* stop(PyObject* self, PyObject* closed) {
    const int truth = PyObject_IsTrue(closed);
    if (truth < 0) return nullptr;
    Ref server = acceptor(self).server();
    acceptor(self).stop(truth != 0);
    return server ? server.release() : new_reference(Py_None);
}

PyMethodDef methods[] = {
    {"accept", &accept, METH_NOARGS, "accept($self)\n--\n\nTake in who waits, as when somebody has come."},
    {"resume", &resume, METH_NOARGS, "resume($self)\n--\n\nLook again, in the next turn."},
    {"stop", &stop, METH_O,
     "stop($self, closed)\n--\n\nAccept nothing any more; is the socket closed already? Returns the server."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("Accepts the connections of a listening socket.\n\n(loop, transport_class, "
                       "factory, server, by_hand, failed, fd, kind, no_delay, all_by_hand, batch)")},
    {Py_tp_new, reinterpret_cast<void*>(&acceptor_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(&acceptor_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(&acceptor_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(&acceptor_clear)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {
    "_asioloop.Acceptor", sizeof(AcceptorObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots,
};

}  // namespace

PyObject* make_acceptor_type(PyObject* module) {
    return PyType_FromModuleAndSpec(module, &spec, nullptr);
}

}  // namespace asioloop
