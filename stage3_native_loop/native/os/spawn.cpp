#include "stage3_native_loop/native/os/spawn.hpp"

#include <unistd.h>

#include <new>
#include <vector>

#include "stage3_native_loop/native/os/program.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

/// Strings for the kernel, and who keeps them.
class Strings {
  public:
    /// False with an exception set: something in there is no path.
    bool add(PyObject* sequence) {
        const Ref items = Ref::steal(PySequence_Fast(sequence, "a sequence is needed"));
        if (!items) return false;
        const auto n = PySequence_Fast_GET_SIZE(items.get());
        for (Py_ssize_t i = 0; i < n; ++i) {
            // Counted: a __fspath__() may change the list.
            const Ref item = Ref::borrow(PySequence_Fast_GET_ITEM(items.get(), i));
            PyObject* bytes = nullptr;
            if (!PyUnicode_FSConverter(item.get(), &bytes)) return false;
            kept_.push_back(Ref::steal(bytes));
            pointers.push_back(PyBytes_AS_STRING(bytes));
            if (PySequence_Fast_GET_SIZE(items.get()) != n) {
                PyErr_SetString(PyExc_RuntimeError, "the arguments changed while they were read");
                return false;
            }
        }
        return true;
    }
    /// As the kernel takes them, but for the null at the end.
    std::vector<const char*> pointers;

  private:
    std::vector<Ref> kept_;
};

/// What is wrong with the arguments is told by who is asked next.
PyObject* not_here() {
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) return nullptr;
        PyErr_Clear();
    }
    return new_reference(Py_None);
}

PyObject* spawn(PyObject*, PyObject* args) try {
    PyObject *files, *arguments, *environment, *folder;
    Program program;
    int alone, default_signals, own_session;
    auto& standard = program.standard;
    if (!PyArg_ParseTuple(args, "OOOOiiippp", &files, &arguments, &environment, &folder, &standard[0],
                          &standard[1], &standard[2], &alone, &default_signals, &own_session))
        return nullptr;
    program.alone = alone;
    program.default_signals = default_signals;
    program.own_session = own_session;
    for (const int fd : standard) {
        if (fd >= 0 && fd < 3) return not_here();
    }
    Strings paths, words, variables;
    if (!paths.add(files) || !words.add(arguments)) return not_here();
    program.files = std::move(paths.pointers);
    program.arguments = std::move(words.pointers);
    program.arguments.push_back(nullptr);
    if (environment != Py_None) {
        if (!variables.add(environment)) return not_here();
        variables.pointers.push_back(nullptr);
    }
    Ref place;
    if (folder != Py_None) {
        PyObject* bytes = nullptr;
        if (!PyUnicode_FSConverter(folder, &bytes)) return not_here();
        place = Ref::steal(bytes);
        program.folder = PyBytes_AS_STRING(bytes);
    }
    // Last: what runs above may have set a variable.
    program.environment = environment == Py_None ? environ : variables.pointers.data();
    const auto started = start(program);
    return started ? Py_BuildValue("(ii)", started->pid, started->pidfd) : not_here();
} catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
}

PyMethodDef functions[] = {
    {"spawn", &spawn, METH_VARARGS,
     "spawn($module, files, arguments, environment, folder, stdin, stdout, stderr, alone, default_signals, "
     "own_session, /)\n--\n\nStarts a program: (pid, pidfd), or None if that cannot be done, or not here."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool add_spawn(PyObject* module) {
    return PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace asioloop
