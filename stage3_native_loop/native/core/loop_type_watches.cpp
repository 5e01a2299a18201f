// How Python has a loop watch its file descriptors: add_reader() and its relatives.
#include <climits>

#include "stage3_native_loop/native/core/loop_type.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

/// As module selectors takes a file: a number, or an object whose fileno() can be made one. -1 with a
/// ValueError.
int descriptor_of(PyObject* file) {
    Ref number =
        PyLong_Check(file) ? Ref::borrow(file) : Ref::steal(PyObject_CallMethod(file, "fileno", nullptr));
    if (number) number = Ref::steal(PyNumber_Long(number.get()));
    const long fd = number ? PyLong_AsLong(number.get()) : -1;
    if (fd == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_TypeError) ||
            PyErr_ExceptionMatches(PyExc_ValueError) || PyErr_ExceptionMatches(PyExc_OverflowError))
            PyErr_Format(PyExc_ValueError, "Invalid file object: %R", file);
        return -1;
    }
    if (fd < 0 || fd > INT_MAX) {
        PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %ld", fd);
        return -1;
    }
    return static_cast<int>(fd);
}

/// The same for a file that may be closed already: whoever closes a socket first must still be able to
/// remove its callbacks.
int watched_descriptor_of(PyObject* self, PyObject* file) {
    int fd = descriptor_of(file);
    if (fd < 0 && PyErr_ExceptionMatches(PyExc_ValueError)) {
        const int known = core(self).watches().descriptor_of(file);
        if (known >= 0) {
            PyErr_Clear();
            fd = known;
        }
    }
    return fd;
}

PyObject* set_watch(PyObject* self, PyObject* const* values, Py_ssize_t n, bool write) {
    if (n < 2) {
        PyErr_SetString(PyExc_TypeError, "a file descriptor and a callback are needed");
        return nullptr;
    }
    const int fd = descriptor_of(values[0]);
    if (fd < 0) return nullptr;
    if (core(self).closed()) return core(self).closed_error(), nullptr;
    Ref args = Ref::steal(PyTuple_New(n - 2));
    for (Py_ssize_t i = 2; args && i < n; ++i) PyTuple_SET_ITEM(args.get(), i - 2, new_reference(values[i]));
    Ref handle = args ? core(self).module().handles.make(self, values[1], args.get(), nullptr) : Ref();
    if (!handle) return nullptr;
    Ref result = handle;
    if (!core(self).watches().set(fd, values[0], write, std::move(handle))) return nullptr;
    return result.release();
}

PyObject* add_reader(PyObject* self, PyObject* const* v, Py_ssize_t n) {
    return set_watch(self, v, n, false);
}
PyObject* add_writer(PyObject* self, PyObject* const* v, Py_ssize_t n) {
    return set_watch(self, v, n, true);
}

PyObject* remove_watch(PyObject* self, PyObject* file, bool write) {
    if (core(self).closed()) return new_reference(Py_False);
    const int fd = watched_descriptor_of(self, file);
    if (fd < 0) return nullptr;
    return PyBool_FromLong(core(self).watches().remove(fd, write));
}

PyObject* watched(PyObject* self, PyObject* file) {
    const int fd = watched_descriptor_of(self, file);
    if (fd < 0) return nullptr;
    const FdWatch* watch = core(self).watches().find(fd);
    PyObject* reader = watch ? watch->reader.handle : nullptr;
    PyObject* writer = watch ? watch->writer.handle : nullptr;
    return PyTuple_Pack(2, reader ? reader : Py_None, writer ? writer : Py_None);
}

PyObject* remove_reader(PyObject* self, PyObject* file) {
    return remove_watch(self, file, false);
}
PyObject* remove_writer(PyObject* self, PyObject* file) {
    return remove_watch(self, file, true);
}

PyMethodDef methods[] = {
    {"_watched", &watched, METH_O,
     "_watched($self, file, /)\n--\n\n(reader, writer): the handles that wait for a file; None for none."},
    {"_add_reader", as_method(&add_reader), METH_FASTCALL, "_add_reader(fd, callback, *args) -> Handle"},
    {"_add_writer", as_method(&add_writer), METH_FASTCALL, "_add_writer(fd, callback, *args) -> Handle"},
    {"_remove_reader", &remove_reader, METH_O, "_remove_reader(fd) -> bool"},
    {"_remove_writer", &remove_writer, METH_O, "_remove_writer(fd) -> bool"},
};

}  // namespace

std::span<const PyMethodDef> watch_methods() {
    return methods;
}

}  // namespace asioloop
