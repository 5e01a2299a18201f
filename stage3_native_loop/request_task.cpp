#include "stage3_native_loop/request_task.hpp"

#include <cstddef>
#include <utility>

#include "stage3_native_loop/runner.hpp"

namespace stage {

using asioserve::ExchangePtr;
using asioserve::Outcome;
using asioserve::py::clear;
using asioserve::py::gil;
using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

RequestCoroutine& self_of(PyObject* o) {
    return RequestCoroutine::of(o);
}

/// Lets go of the exchange; the task has nothing to do with it any more.
ExchangePtr take_exchange(RequestCoroutine& self) {
    if (self.exchange) self.exchange->runner_slot = nullptr;
    self.let_go();
    return ExchangePtr::adopt(std::exchange(self.exchange, nullptr));
}

/// throw() of a coroutine, with the three ways that it can go on told apart as PyIter_Send does.
PySendResult throw_into(PyObject* coroutine, PyObject* exception, PyObject** result) {
    *result = PyObject_CallMethod(coroutine, "throw", "O", exception);
    if (*result) return PYGEN_NEXT;
    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) return PYGEN_ERROR;
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    Ref t = Ref::steal(type), v = Ref::steal(value), tb = Ref::steal(traceback);
    *result = PyObject_GetAttrString(v.get(), "value");
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

bool is_cancelled_error(PyObject* exception) {
    Ref type = Ref::steal(PyImport_ImportModule("asyncio.exceptions"));
    if (type) type = Ref::steal(PyObject_GetAttrString(type.get(), "CancelledError"));
    if (!type) {
        PyErr_Clear();
        return false;
    }
    return PyObject_TypeCheck(exception, reinterpret_cast<PyTypeObject*>(type.get()));
}

PyObject* retrieve(PyObject*, PyObject* task) {
    // The answer and the log have told of the exception already: asyncio need not, when the task goes.
    Ref cancelled = Ref::steal(PyObject_CallMethod(task, "cancelled", nullptr));
    if (cancelled.get() != Py_False) return cancelled.release();
    return PyObject_CallMethod(task, "exception", nullptr);
}

PyMethodDef retrieve_def = {"retrieve", &retrieve, METH_O, nullptr};

/// Whether the task is to end with this exception. SystemExit and KeyboardInterrupt would stop the loop: they
/// have been passed on to the program.
bool ends_the_task(const Outcome& outcome) {
    return !outcome.ok() && !PyErr_GivenExceptionMatches(outcome.object(), PyExc_SystemExit) &&
           !PyErr_GivenExceptionMatches(outcome.object(), PyExc_KeyboardInterrupt);
}

void retrieve_later(PyObject* task) {
    Ref callback = Ref::steal(PyCFunction_New(&retrieve_def, nullptr));
    Ref done =
        callback ? Ref::steal(PyObject_CallMethod(task, "add_done_callback", "O", callback.get())) : Ref();
    if (!done) PyErr_WriteUnraisable(task);
}

/// Takes steps until something is yielded or nothing is left to do. `exception` (or null) is thrown in first.
PySendResult drive(RequestCoroutine& self, PyObject* value, PyObject* exception, PyObject** result) {
    gil.assert_held();
    Ref thrown = Ref::borrow(exception);
    if (self.exchange && !self.inner) {
        // Assigned, not started: a task that was made the ordinary way takes its first step.
        if (thrown) {
            Outcome cancelled = Outcome::raised(std::exchange(thrown, Ref{}));
            self.inner = self.runner->finish(*self.exchange, cancelled).release();
        } else {
            self.inner = self.runner->begin(*self.exchange).release();
        }
        value = Py_None;
        if (!self.inner) take_exchange(self);
    }
    while (self.inner) {
        PyObject* given = nullptr;
        // Held here: the coroutine may let go of its task, and so of us, while it runs.
        Ref inner = Ref::borrow(self.inner);
        self.running = true;
        const PySendResult status =
            thrown ? throw_into(inner.get(), thrown.get(), &given) : PyIter_Send(inner.get(), value, &given);
        self.running = false;
        thrown.reset();
        if (status == PYGEN_NEXT) {
            *result = given;
            return PYGEN_NEXT;
        }
        Outcome outcome =
            status == PYGEN_RETURN ? Outcome::returned(Ref::steal(given)) : Outcome::raised_now();
        clear(self.inner);
        if (self.task) self.runner->tasks().cancel_if_asked(self.task, outcome);
        if (self.exchange) self.inner = self.runner->finish(*self.exchange, outcome).release();
        value = Py_None;
        if (self.inner) continue;
        Ref task = Ref::borrow(self.task);
        take_exchange(self);
        if (self.token) {
            self.runner->tasks().ended(self.token);
            clear(self.token);
        }
        if (outcome.ok()) {
            *result = new_reference(outcome.object());
            return PYGEN_RETURN;
        }
        if (!task || !ends_the_task(outcome)) break;
        retrieve_later(task.get());
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(outcome.object())), outcome.object());
        return PYGEN_ERROR;
    }
    if (thrown) {
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(thrown.get())), thrown.get());
        return PYGEN_ERROR;
    }
    *result = self.result ? std::exchange(self.result, nullptr) : new_reference(Py_None);
    return PYGEN_RETURN;
}

/// As a coroutine does, for an app that takes its own task's by the hand: an exception is set.
bool refuse_while_running(const RequestCoroutine& self) {
    if (self.running) PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    return self.running;
}

PySendResult send_slot(PyObject* o, PyObject* value, PyObject** result) {
    RequestCoroutine& self = self_of(o);
    *result = nullptr;
    if (refuse_while_running(self)) return PYGEN_ERROR;
    if (self.replay) {
        self.replay = false;
        *result = std::exchange(self.yielded, nullptr);
        return PYGEN_NEXT;
    }
    Ref pending = Ref::steal(std::exchange(self.pending, nullptr));
    return drive(self, value, pending.get(), result);
}

/// The task was cancelled during the first step that we took for it. In a step of its own it would now cancel
/// what the coroutine waits for, or, where that cannot be cancelled, throw at the next step.
PyObject* replay_cancelled(RequestCoroutine& self, PyObject* exception) {
    self.replay = false;
    Ref yielded = Ref::steal(std::exchange(self.yielded, nullptr));
    bool delivered = false;
    if (yielded.get() != Py_None) {
        Ref args = Ref::steal(PyObject_GetAttrString(exception, "args"));
        PyObject* message = args && PyTuple_Check(args.get()) && PyTuple_GET_SIZE(args.get()) > 0
                                ? PyTuple_GET_ITEM(args.get(), 0)
                                : Py_None;
        Ref cancelled = Ref::steal(PyObject_CallMethod(yielded.get(), "cancel", "O", message));
        if (!cancelled) PyErr_Clear();  // not a future: the task finds that out by itself
        delivered = cancelled && PyObject_IsTrue(cancelled.get()) == 1;
    }
    if (!delivered) self.pending = new_reference(exception);
    return yielded.release();
}

PyObject* method_result(PySendResult status, PyObject* result) {
    if (status == PYGEN_NEXT) return result;
    if (status == PYGEN_RETURN) {
        Ref value = Ref::steal(result);
        // As a coroutine does: a tuple or an exception must not be taken for StopIteration's arguments.
        Ref stop = Ref::steal(PyObject_CallOneArg(PyExc_StopIteration, value.get()));
        if (stop) PyErr_SetObject(PyExc_StopIteration, stop.get());
    }
    return nullptr;
}

PyObject* send_method(PyObject* o, PyObject* value) {
    PyObject* result = nullptr;
    const PySendResult status = send_slot(o, value, &result);
    return method_result(status, result);
}

PyObject* iternext(PyObject* o) {
    return send_method(o, Py_None);
}

PyObject* throw_method(PyObject* o, PyObject* args) {
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &traceback)) return nullptr;
    Ref exception = PyExceptionInstance_Check(type) ? Ref::borrow(type)
                    : value && PyExceptionInstance_Check(value)
                        ? Ref::borrow(value)
                        : Ref::steal(value && value != Py_None ? PyObject_CallOneArg(type, value)
                                                               : PyObject_CallNoArgs(type));
    if (!exception) return nullptr;
    if (!PyExceptionInstance_Check(exception.get())) {
        PyErr_SetString(PyExc_TypeError,
                        "exceptions must be instances of BaseException or classes deriving from it");
        return nullptr;
    }
    RequestCoroutine& self = self_of(o);
    if (refuse_while_running(self)) return nullptr;
    if (self.replay && is_cancelled_error(exception.get())) return replay_cancelled(self, exception.get());
    self.replay = false;
    clear(self.yielded);
    if (!self.inner && !self.exchange) {
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.get())), exception.get());
        return nullptr;
    }
    PyObject* result = nullptr;
    const PySendResult status = drive(self, Py_None, exception.get(), &result);
    return method_result(status, result);
}

/// Ends an exchange that nobody will answer any more.
void abandon(RequestCoroutine& self) {
    ExchangePtr x = take_exchange(self);
    if (!x) return;
    self.runner->handler().abort(*x);
    x->fail();
}

PyObject* close_method(PyObject* o, PyObject*) {
    RequestCoroutine& self = self_of(o);
    if (refuse_while_running(self)) return nullptr;
    Ref inner = Ref::borrow(self.inner);
    Ref closed =
        inner ? Ref::steal(PyObject_CallMethod(inner.get(), "close", nullptr)) : Ref::borrow(Py_None);
    if (!closed) return nullptr;  // it goes on in spite of GeneratorExit
    self.replay = false;
    clear(self.yielded);
    clear(self.pending);
    clear(self.inner);
    abandon(self);
    return closed.release();
}

PyObject* await_slot(PyObject* o) {
    return new_reference(o);
}

PyObject* getattro(PyObject* o, PyObject* name) {
    PyObject* own = PyObject_GenericGetAttr(o, name);
    if (own || !self_of(o).inner || !PyErr_ExceptionMatches(PyExc_AttributeError)) return own;
    PyErr_Clear();
    return PyObject_GetAttr(self_of(o).inner, name);
}

int traverse(PyObject* o, visitproc visit, void* arg) {
    RequestCoroutine& self = self_of(o);
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(self.inner);
    Py_VISIT(self.yielded);
    Py_VISIT(self.pending);
    Py_VISIT(self.result);
    Py_VISIT(self.token);
    return 0;
}

int clear_slot(PyObject* o) {
    RequestCoroutine& self = self_of(o);
    clear(self.yielded);
    clear(self.pending);
    clear(self.result);
    clear(self.inner);
    clear(self.token);
    abandon(self);
    return 0;
}

void dealloc(PyObject* o) {
    PyTypeObject* type = Py_TYPE(o);
    PyObject_GC_UnTrack(o);
    PyObject *error_type = nullptr, *error = nullptr, *traceback = nullptr;
    PyErr_Fetch(&error_type, &error, &traceback);
    clear_slot(o);
    PyErr_Restore(error_type, error, traceback);
    type->tp_free(o);
    asioserve::py::drop(reinterpret_cast<PyObject*>(type));
}

PyMethodDef methods[] = {
    {"send", &send_method, METH_O, "send(value)\n--\n\nAs a coroutine's."},
    {"throw", &throw_method, METH_VARARGS, "throw(exception)\n--\n\nAs a coroutine's."},
    {"close", &close_method, METH_NOARGS, "close()\n--\n\nAs a coroutine's."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("The coroutine of a request's task.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(&dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(&traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(&clear_slot)},
    {Py_tp_methods, methods},
    {Py_tp_getattro, reinterpret_cast<void*>(&getattro)},
    {Py_tp_iter, reinterpret_cast<void*>(&PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(&iternext)},
    {Py_am_await, reinterpret_cast<void*>(&await_slot)},
    {Py_am_send, reinterpret_cast<void*>(&send_slot)},
    {0, nullptr},
};

PyType_Spec spec = {
    "asioserve.RequestCoroutine",
    sizeof(RequestCoroutine),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    slots,
};

}  // namespace

PyObject* make_request_coroutine_type() {
    return PyType_FromSpec(&spec);
}

PyObject* RequestCoroutine::make(PyObject* type, Runner& runner) {
    auto* t = reinterpret_cast<PyTypeObject*>(type);
    PyObject* o = t->tp_alloc(t, 0);
    if (o) of(o).runner = &runner;
    return o;
}

void RequestCoroutine::assign(ExchangePtr x) {
    exchange = x.detach();
}

void RequestCoroutine::keep(Ref of_task) {
    task = of_task.release();
    TaskLink& all = runner->tasks().waiting();
    link.previous = all.previous;
    link.next = &all;
    link.previous->next = link.next->previous = &link;
}

void RequestCoroutine::let_go() {
    if (!task) return;
    link.previous->next = link.next;
    link.next->previous = link.previous;
    clear(task);
}

RequestCoroutine& RequestCoroutine::from(TaskLink* link) {
    return *reinterpret_cast<RequestCoroutine*>(reinterpret_cast<char*>(link) -
                                                offsetof(RequestCoroutine, link));
}

void RequestCoroutine::adopt(ExchangePtr x, Ref of_task, Ref of_registry) {
    x->runner_slot = this;
    token = of_registry.release();
    exchange = x.detach();
    keep(std::move(of_task));
}

void RequestCoroutine::hand_over(Ref value) {
    replay = true;
    yielded = value.release();
}

PySendResult RequestCoroutine::advance(PyObject** given) {
    return drive(*this, Py_None, nullptr, given);
}

void RequestCoroutine::conclude(PyObject* of_task, const Outcome& outcome) {
    if (outcome.ok()) {
        result = new_reference(outcome.object());
    } else if (ends_the_task(outcome)) {
        pending = new_reference(outcome.object());
        retrieve_later(of_task);
    }
}

}  // namespace stage
