// What the Python types of the two halves of pipe transports have in common: PipeReader and PipeWriter.
#pragma once

#include <cstddef>
#include <new>

#include "stage3_native_loop/native/core/module.hpp"
#include "stage3_native_loop/native/net/pipe_end.hpp"

namespace asioloop {

/// The Python object around an `End`, and the slots and methods that do not ask which end it is.
template <class End>
class PipeEndType {
  public:
    /// sizeof() is the type's basicsize.
    struct Object {
        /// Where the end is made.
        PyObject_HEAD alignas(End) std::byte storage[sizeof(End)];
    };

    /// What is inside.
    static End& end(PyObject* self) {
        return *std::launder(reinterpret_cast<End*>(reinterpret_cast<Object*>(self)->storage));
    }

    /// What a method returns that gives nothing.
    static PyObject* none_if(bool ok) { return ok ? asioserve::py::new_reference(Py_None) : nullptr; }

    /// Slots.
    /// @{
    static PyObject* make(PyTypeObject* type, PyObject* args, PyObject*) {
        PyObject* loop = nullptr;
        int fd = -1;
        ModuleState* module = state_of(type);
        if (!module || !PyArg_ParseTuple(args, "Oi", &loop, &fd)) return nullptr;
        PyObject* self = type->tp_alloc(type, 0);
        if (!self) return nullptr;
        new (reinterpret_cast<Object*>(self)->storage) End(*module, self);
        if (end(self).open(loop, fd)) return self;
        asioserve::py::drop(self);
        return nullptr;
    }
    static int traverse(PyObject* self, visitproc visit, void* arg) {
        Py_VISIT(Py_TYPE(self));
        return end(self).traverse(visit, arg);
    }
    static int clear(PyObject* self) {
        end(self).clear();
        return 0;
    }
    static void dealloc(PyObject* self) {
        PyTypeObject* type = Py_TYPE(self);
        PyObject_GC_UnTrack(self);
        end(self).~End();
        type->tp_free(self);
        asioserve::py::drop(reinterpret_cast<PyObject*>(type));
    }
    /// @}

    /// Methods.
    /// @{
    static PyObject* pause(PyObject* self, PyObject*) {
        end(self).pause();
        return none_if(true);
    }
    static PyObject* stop(PyObject* self, PyObject*) {
        end(self).stop();
        return none_if(true);
    }
    /// @}

    /// A new type for the module, or null with an exception set.
    static PyObject* type(PyObject* module, const char* name, const char* doc, PyMethodDef* methods,
                          PyGetSetDef* fields) {
        PyType_Slot slots[] = {
            {Py_tp_doc, const_cast<char*>(doc)},
            {Py_tp_new, reinterpret_cast<void*>(&make)},
            {Py_tp_dealloc, reinterpret_cast<void*>(&dealloc)},
            {Py_tp_traverse, reinterpret_cast<void*>(&traverse)},
            {Py_tp_clear, reinterpret_cast<void*>(&clear)},
            {Py_tp_methods, methods},
            {Py_tp_getset, fields},
            {0, nullptr},
        };
        PyType_Spec spec = {name, sizeof(Object), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
        return PyType_FromModuleAndSpec(module, &spec, nullptr);
    }
};

}  // namespace asioloop
