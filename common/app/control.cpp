#include "common/app/control.hpp"

#include <array>
#include <string_view>

#include "common/app/server_program.hpp"
#include "common/python/errors.hpp"

namespace asioserve::app {

namespace {

struct Object {
    PyObject_HEAD ServerProgram* program;
};

/// The program, or null with an exception set.
ServerProgram* program_of(PyObject* self) {
    ServerProgram* program = reinterpret_cast<Object*>(self)->program;
    if (!program) PyErr_SetString(PyExc_RuntimeError, "the server has ended");
    return program;
}

/// A method: runs `body` with the program, lets no C++ exception into CPython.
template <class Body>
PyObject* with_program(PyObject* self, Body body) {
    py::gil.assert_held();
    ServerProgram* program = program_of(self);
    if (!program) return nullptr;
    try {
        return body(*program);
    } catch (const std::exception& error) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, error.what());
        return nullptr;
    }
}

PyObject* none() {
    return py::new_reference(Py_None);
}

PyObject* on_loop(PyObject* self, PyObject* arguments) {
    return with_program(self, [&](ServerProgram& program) -> PyObject* {
        py::gil.assert_held();
        PyObject *loop = nullptr, *stop = nullptr;
        if (!PyArg_ParseTuple(arguments, "OO:on_loop", &loop, &stop)) return nullptr;
        program.on_loop(loop, stop);
        return PyErr_Occurred() ? nullptr : none();
    });
}

PyObject* canary(PyObject* self, PyObject* arguments) {
    return with_program(self, [&](ServerProgram& program) -> PyObject* {
        py::gil.assert_held();
        PyObject *function = nullptr, *done = nullptr;
        int plain = 0;
        if (!PyArg_ParseTuple(arguments, "OpO:canary", &function, &plain, &done)) return nullptr;
        const ServerProgram::Parts& parts = program.parts();
        if (!parts.proof) {
            PyErr_SetString(PyExc_RuntimeError, "there is no supervisor");
            return nullptr;
        }
        return PyLong_FromLong(
            parts.proof->fly(parts.runner, py::Ref::borrow(function), plain != 0, py::Ref::borrow(done)));
    });
}

PyObject* cancel(PyObject* self, PyObject* token) {
    return with_program(self, [&](ServerProgram& program) -> PyObject* {
        py::gil.assert_held();
        const long number = PyLong_AsLong(token);
        if (number == -1 && PyErr_Occurred()) return nullptr;
        if (program.parts().proof)
            program.parts().proof->cancel(program.parts().runner, static_cast<int>(number));
        return none();
    });
}

PyObject* app_ended(PyObject* self, PyObject* code) {
    return with_program(self, [&](ServerProgram& program) -> PyObject* {
        const long number = PyLong_AsLong(code);
        if (number == -1 && PyErr_Occurred()) return nullptr;
        program.app_ended(static_cast<int>(number));
        return none();
    });
}

PyObject* exit_by(PyObject* self, PyObject* exception) {
    return with_program(self, [&](ServerProgram& program) {
        py::gil.assert_held();
        program.exit_by(exception);
        return none();
    });
}

PyObject* write_log(PyObject* self, PyObject* arguments) {
    return with_program(self, [&](ServerProgram& program) -> PyObject* {
        py::gil.assert_held();
        const char *level = nullptr, *text = nullptr;
        PyObject* exception = nullptr;
        if (!PyArg_ParseTuple(arguments, "ss|O:log", &level, &text, &exception)) return nullptr;
        constexpr std::array<std::string_view, 6> names{"trace",   "debug", "info",
                                                        "warning", "error", "critical"};
        std::size_t index = 0;
        while (index + 1 < names.size() && names[index] != level) ++index;
        program.log(static_cast<Log::Level>(index), text, exception);
        return none();
    });
}

PyObject* interrupted_code(PyObject* self, PyObject*) {
    return with_program(self,
                        [](ServerProgram& program) { return PyLong_FromLong(program.interrupted_code()); });
}

/// A method without arguments and result.
template <void (*Verb)(ServerProgram&)>
PyObject* verb(PyObject* self, PyObject*) {
    return with_program(self, [](ServerProgram& program) {
        Verb(program);
        return none();
    });
}

void proved(ServerProgram& program) {
    py::gil.assert_held();
    program.proved();
}
void ready(ServerProgram& program) {
    py::gil.assert_held();
    program.ready();
}
void drain(ServerProgram& program) {
    py::gil.assert_held();
    program.drain();
}
void proving(ServerProgram& program) {
    program.parts().supervisor.say("proving");
}
void beat(ServerProgram& program) {
    program.parts().supervisor.say("beat");
}
void failed_startup(ServerProgram& program) {
    program.parts().supervisor.say("failed startup");
}

template <bool (*Property)(ServerProgram&)>
PyObject* get_bool(PyObject* self, void*) {
    return with_program(self, [](ServerProgram& program) { return PyBool_FromLong(Property(program)); });
}

bool supervised(ServerProgram& program) {
    return program.parts().supervisor.supervised();
}
bool gc_freeze(ServerProgram& program) {
    return program.settings().gc_freeze;
}
bool fault_proof(ServerProgram& program) {
    return program.settings().fault_proof;
}
bool fault_proof_hang(ServerProgram& program) {
    return program.settings().fault_proof_hang;
}

PyObject* get_app(PyObject* self, void*) {
    return with_program(self, [](ServerProgram& program) { return py::new_reference(program.parts().app); });
}

void dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    type->tp_free(self);
    py::drop(reinterpret_cast<PyObject*>(type));
}

PyMethodDef methods[] = {
    {"on_loop", on_loop, METH_VARARGS, nullptr},
    {"canary", canary, METH_VARARGS, nullptr},
    {"cancel", cancel, METH_O, nullptr},
    {"proving", verb<proving>, METH_NOARGS, nullptr},
    {"proved", verb<proved>, METH_NOARGS, nullptr},
    {"beat", verb<beat>, METH_NOARGS, nullptr},
    {"ready", verb<ready>, METH_NOARGS, nullptr},
    {"failed_startup", verb<failed_startup>, METH_NOARGS, nullptr},
    {"drain", verb<drain>, METH_NOARGS, nullptr},
    {"app_ended", app_ended, METH_O, nullptr},
    {"exit_by", exit_by, METH_O, nullptr},
    {"interrupted_code", interrupted_code, METH_NOARGS, nullptr},
    {"log", write_log, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"app", get_app, nullptr, nullptr, nullptr},
    {"supervised", get_bool<supervised>, nullptr, nullptr, nullptr},
    {"gc_freeze", get_bool<gc_freeze>, nullptr, nullptr, nullptr},
    {"fault_proof", get_bool<fault_proof>, nullptr, nullptr, nullptr},
    {"fault_proof_hang", get_bool<fault_proof_hang>, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("The native side of asioserve._life.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr},
};

PyType_Spec spec = {"_asioserve_program.Control", sizeof(Object), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

Control::Control(ServerProgram& program) {
    py::Ref type = py::must(PyType_FromSpec(&spec));
    object_ = py::must(PyType_GenericAlloc(reinterpret_cast<PyTypeObject*>(type.get()), 0));
    reinterpret_cast<Object*>(object_.get())->program = &program;
}

Control::~Control() {
    reinterpret_cast<Object*>(object_.get())->program = nullptr;
}

}  // namespace asioserve::app
