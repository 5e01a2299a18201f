#include "stage3_native_loop/native/net/pipe_end.hpp"

#include "stage3_native_loop/native/core/run_called.hpp"
#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

using asioserve::py::new_reference;
using asioserve::py::Ref;

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
    if (core_->closed()) return core_->closed_error();
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
    const Called called{transport.get(), write ? "_write_ready" : "_read_ready"};
    return run_called(module_, core, loop.get(), context.get(), called,
                      [&] { return act(write, transport.get()); });
}

}  // namespace asioloop
