#include "stage3_native_loop/native/net/pipe_end.hpp"

#include "common/python/errors.hpp"
#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

bool leaves_the_loop() {
    return PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
}

}  // namespace

PipeEnd::~PipeEnd() {
    if (watch) core_->pipes().abandon(*this);
}

bool PipeEnd::open(PyObject* loop, int fd) {
    if (!PyObject_TypeCheck(loop, reinterpret_cast<PyTypeObject*>(module_.loop_type.get()))) {
        PyErr_Format(PyExc_TypeError, "an asioloop.Loop is needed, not %R", loop);
        return false;
    }
    core_ = core_of(loop);
    loop_ = Ref::borrow(loop);
    fd_ = fd;
    return true;
}

bool PipeEnd::watched() {
    if (core_->closed()) return PyErr_SetString(PyExc_RuntimeError, "Event loop is closed"), false;
    return watch || core_->pipes().add(*this);
}

void PipeEnd::stop() {
    const Ref self = Ref::borrow(self_), transport = pause();
    if (!watch) return;
    watch.stop(false);
    core_->pipes().remove(*this);
}

void PipeEnd::push(bool write) {
    core_->push_ready({new_reference(self_), nullptr, write, this});
}

bool PipeEnd::run(bool write) {
    Ref context, transport = kept, loop = loop_;  // which what runs may take away
    if (!due(write, context) || !transport) return true;
    LoopCore& core = *core_;
    const bool timed = core.debug;
    const double begin = timed ? LoopCore::time() : 0;
    if (PyContext_Enter(context.get()) < 0) return report_failure(loop.get(), transport.get(), write);
    const bool ok = act(write, transport.get());
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    if (!ok) PyErr_Fetch(&type, &value, &traceback);
    if (PyContext_Exit(context.get()) < 0) PyErr_WriteUnraisable(self_);
    if (!ok) {
        PyErr_Restore(type, value, traceback);
        return report_failure(loop.get(), transport.get(), write);
    }
    const double took = timed ? LoopCore::time() - begin : 0;
    if (!timed || took < core.slow_callback_duration) return true;
    return report_slow(loop.get(), transport.get(), write, took);
}

/// As asyncio's selector loop would have made it for the same event.
Ref PipeEnd::handle_of(PyObject* transport, bool write) {
    Ref callback = Ref::steal(PyObject_GetAttrString(transport, write ? "_write_ready" : "_read_ready"));
    return callback ? module_.handles.make(loop_.get(), callback.get(), module_.empty_tuple.get(), nullptr)
                    : Ref();
}

bool PipeEnd::report_slow(PyObject* loop, PyObject* transport, bool write, double took) {
    Ref handle = handle_of(transport, write);
    Ref done =
        Ref::steal(handle ? PyObject_CallMethod(loop, "_report_slow", "Od", handle.get(), took) : nullptr);
    if (!done) PyErr_WriteUnraisable(self_);
    return true;
}

bool PipeEnd::report_failure(PyObject* loop, PyObject* transport, bool write) {
    if (leaves_the_loop()) return false;
    asioserve::py::gil.assert_held();
    Ref error = asioserve::py::take_raised();
    Ref handle = handle_of(transport, write);
    Ref done = Ref::steal(
        handle ? PyObject_CallMethod(loop, "_callback_failed", "OO", handle.get(), error.get()) : nullptr);
    if (done) return true;
    if (leaves_the_loop()) return false;
    PyErr_WriteUnraisable(self_);
    return true;
}

}  // namespace asioloop
