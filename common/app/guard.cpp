#include "common/app/guard.hpp"

#include "common/python/errors.hpp"

namespace asioserve::app {
namespace {

using py::Ref;

struct GuardObject {
    PyObject_HEAD PyObject* inner;  // null once it has ended
    GuardOwner* owner;              // null: nobody is told
    bool started;
    bool running;
    bool ended;
};

GuardObject* self_of(PyObject* o) noexcept {
    return reinterpret_cast<GuardObject*>(o);
}

// Ends the guard as its coroutine ended. As am_send: the value, or null with the exception set.
PySendResult end_as(const Outcome& outcome, PyObject** result) ASIOSERVE_REQUIRES(py::gil) {
    if (outcome.ok() || ends_the_program(outcome)) {
        *result = py::new_reference(outcome.ok() ? outcome.object() : Py_None);
        return PYGEN_RETURN;
    }
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(outcome.object())), outcome.object());
    *result = nullptr;
    return PYGEN_ERROR;
}

// The inner coroutine has ended with `how` and `value` (null: the exception that is set): asks the owner what
// is next and drives that on until something is awaited or nothing is left.
PySendResult go_on(GuardObject* self, PySendResult how, PyObject* value, PyObject** result)
    ASIOSERVE_REQUIRES(py::gil) {
    for (;;) {
        Outcome outcome = how == PYGEN_RETURN ? Outcome::returned(Ref::steal(value)) : Outcome::raised_now();
        py::clear(self->inner);
        Computation* next = self->owner ? self->owner->on_end(outcome) : nullptr;
        if (!next) {
            self->owner = nullptr;
            self->ended = true;
            return end_as(outcome, result);
        }
        self->inner = take_coroutine(next).release();
        how = PyIter_Send(self->inner, Py_None, &value);
        if (how == PYGEN_NEXT) {
            *result = value;
            return how;
        }
    }
}

// As a coroutine does; without it an app that drives its own task's coroutine would end it twice.
bool may_step(GuardObject* self) {
    if (self->running)
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    else if (!self->inner)
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    else
        return true;
    return false;
}

// A step of the guard: nobody else may drive or free it meanwhile.
class Stepping {
  public:
    explicit Stepping(GuardObject* self) ASIOSERVE_REQUIRES(py::gil)
        : self_(self), alive_(Ref::borrow(reinterpret_cast<PyObject*>(self))) {
        self_->running = true;
        if (self->started) return;
        self->started = true;
        if (self->owner) self->owner->on_first_step();
    }
    ~Stepping() { self_->running = false; }
    Stepping(const Stepping&) = delete;
    Stepping& operator=(const Stepping&) = delete;

  private:
    GuardObject* self_;
    Ref alive_;  // on_end may drop the owner's reference
};

// Somebody has closed it, as any code may that asks a task for its coroutine: its owner still waits to hear
// of an end.
bool closed_unheard(const GuardObject* self) noexcept {
    return !self->running && !self->inner && self->owner;
}

PySendResult end_closed(GuardObject* self, PyObject** result) ASIOSERVE_REQUIRES(py::gil) {
    Stepping step(self);
    PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    return go_on(self, PYGEN_ERROR, nullptr, result);
}

PySendResult am_send(PyObject* o, PyObject* argument, PyObject** result) {
    py::gil.assert_held();
    GuardObject* self = self_of(o);
    *result = nullptr;
    if (closed_unheard(self)) return end_closed(self, result);
    if (!may_step(self)) return PYGEN_ERROR;
    Stepping step(self);
    PyObject* value = nullptr;
    PySendResult how = PyIter_Send(self->inner, argument, &value);
    if (how != PYGEN_NEXT) return go_on(self, how, value, result);
    *result = value;
    return how;
}

// For callers that know only the methods: a return is a StopIteration.
PyObject* as_method(PySendResult how, PyObject* value) {
    if (how != PYGEN_RETURN) return value;
    Ref returned = Ref::steal(value);
    // By a call, not PyErr_SetObject with the value: that would spread a tuple over the arguments.
    Ref stop = Ref::steal(PyObject_CallOneArg(PyExc_StopIteration, value));
    if (stop) PyErr_SetObject(PyExc_StopIteration, stop.get());
    return nullptr;
}

PyObject* send(PyObject* o, PyObject* argument) {
    PyObject* value = nullptr;
    PySendResult how = am_send(o, argument, &value);
    return as_method(how, value);
}

PyObject* iternext(PyObject* o) {
    return send(o, Py_None);
}

// throw(exception) or throw(type, value, traceback), as a coroutine's own.
PyObject* throw_in(PyObject* o, PyObject* const* arguments, Py_ssize_t count) {
    py::gil.assert_held();
    GuardObject* self = self_of(o);
    PyObject* result = nullptr;
    if (closed_unheard(self)) {
        const PySendResult ended = end_closed(self, &result);
        return as_method(ended, result);
    }
    if (!may_step(self)) return nullptr;
    if (count < 1 || count > 3) {
        PyErr_SetString(PyExc_TypeError, "throw() takes 1 to 3 arguments");
        return nullptr;
    }
    Ref name = Ref::steal(PyUnicode_InternFromString("throw"));
    if (!name) return nullptr;
    Stepping step(self);
    PyObject* call[4] = {self->inner, nullptr, nullptr, nullptr};
    for (Py_ssize_t i = 0; i < count; ++i) call[i + 1] = arguments[i];
    PyObject* value = PyObject_VectorcallMethod(name.get(), call, static_cast<size_t>(count) + 1, nullptr);
    if (value) return value;  // it awaits something again
    PySendResult how = PYGEN_ERROR;
    if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
        Ref stop = py::take_raised();
        value = py::new_reference(reinterpret_cast<PyStopIterationObject*>(stop.get())->value);
        how = PYGEN_RETURN;
    }
    how = go_on(self, how, value, &result);
    return as_method(how, result);
}

PyObject* close(PyObject* o, PyObject*) {
    py::gil.assert_held();
    GuardObject* self = self_of(o);
    if (!self->inner) return py::new_reference(Py_None);
    Ref inner = Ref::borrow(self->inner);
    Ref closed = Ref::steal(PyObject_CallMethod(inner.get(), "close", nullptr));
    if (closed) {
        self->ended = !self->owner;
        py::clear(self->inner);
    }
    return closed.release();
}

PyObject* await_self(PyObject* o) {
    return py::new_reference(o);
}

PyObject* getattro(PyObject* o, PyObject* name) {
    PyObject* found = PyObject_GenericGetAttr(o, name);
    if (found || !self_of(o)->inner || !PyErr_ExceptionMatches(PyExc_AttributeError)) return found;
    PyErr_Clear();
    return PyObject_GetAttr(self_of(o)->inner, name);
}

int traverse(PyObject* o, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(self_of(o)->inner);
    return 0;
}

int clear(PyObject* o) {
    py::clear(self_of(o)->inner);
    return 0;
}

void dealloc(PyObject* o) {
    PyTypeObject* type = Py_TYPE(o);
    PyObject_GC_UnTrack(o);
    clear(o);
    PyObject_GC_Del(o);
    py::drop(reinterpret_cast<PyObject*>(type));
}

PyMethodDef methods[] = {
    {"send", send, METH_O, nullptr},
    {"throw", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(throw_in)), METH_FASTCALL, nullptr},
    {"close", close, METH_NOARGS, nullptr},
    {},
};

template <class F>
void* slot(F* f) noexcept {
    return reinterpret_cast<void*>(f);
}

}  // namespace

Guards::Guards() {
    // send, throw, close and __await__ make it a collections.abc.Coroutine, which is what asyncio asks for.
    PyType_Slot slots[] = {
        {Py_tp_dealloc, slot(dealloc)},   {Py_tp_traverse, slot(traverse)}, {Py_tp_clear, slot(clear)},
        {Py_tp_getattro, slot(getattro)}, {Py_tp_methods, methods},         {Py_am_send, slot(am_send)},
        {Py_am_await, slot(await_self)},  {Py_tp_iternext, slot(iternext)}, {0, nullptr},
    };
    PyType_Spec spec = {"asioserve.RequestCoroutine", sizeof(GuardObject), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    type_ = py::must(PyType_FromSpec(&spec));
}

Ref Guards::make(Ref coroutine, GuardOwner& owner) {
    auto* type = reinterpret_cast<PyTypeObject*>(type_.get());
    auto* self = PyObject_GC_New(GuardObject, type);
    if (!self) return {};
    self->inner = coroutine.release();
    self->owner = &owner;
    self->started = false;
    self->running = false;
    self->ended = false;
    PyObject_GC_Track(self);
    return Ref::steal(reinterpret_cast<PyObject*>(self));
}

void Guards::disown(PyObject* guard) noexcept {
    GuardObject* self = self_of(guard);
    self->owner = nullptr;
    if (self->started || self->ended) return;
    Ref closed = Ref::steal(close(guard, nullptr));
    if (!closed) PyErr_WriteUnraisable(guard);
}

bool Guards::ended(PyObject* guard) noexcept {
    return self_of(guard)->ended;
}

void give_up_task(PyObject* task) noexcept {
    // As asyncio does itself for tasks that it abandons; a task of another make may refuse.
    if (PyObject_SetAttrString(task, "_log_destroy_pending", Py_False) != 0) PyErr_Clear();
}

bool ends_the_program(const Outcome& outcome) noexcept {
    return !outcome.ok() && (PyErr_GivenExceptionMatches(outcome.object(), PyExc_SystemExit) ||
                             PyErr_GivenExceptionMatches(outcome.object(), PyExc_KeyboardInterrupt));
}

}  // namespace asioserve::app
