#include "common/app/native_request.hpp"

#include "common/app/futures.hpp"

namespace asioserve::app {

NativeRequest::NativeRequest(std::shared_ptr<Shared> shared, Exchange& x)
    : shared_(std::move(shared)),
      x_(x),
      body_(*shared_, *this, x.note_as<Note>().body != BodyMode::stream, x.body()) {}

NativeRequest::~NativeRequest() {
    py::gil.assert_held();
    over();
}

Channel* NativeRequest::channel() {
    if (over_) return nullptr;
    if (!channel_) channel_ = std::make_shared<Channel>(shared_, *x_, *this);
    return channel_.get();
}

bool NativeRequest::is_disconnected() {
    if (Channel* c = channel()) {
        // The first time elsewhere than on the I/O thread it may be a moment late: nobody listened yet.
        if (!std::exchange(listens_, true)) c->attach(false);
        return c->ended();
    }
    return channel_ && channel_->ended();
}

void NativeRequest::over() noexcept {
    if (std::exchange(over_, true)) return;
    if (channel_) channel_->disown();
    task_.reset();
    body_.broke(Broken::peer_left);
}

py::Ref NativeRequest::wait_for_credit() {
    Channel* c = channel();
    if (c == nullptr || !shared_->plan) return {};
    if (is_pending(*shared_->plan, writer_)) {
        PyErr_SetString(PyExc_RuntimeError,
                        "a write is waiting for the peer already: await what it returned");
        return {};
    }
    py::Ref future = make_future(*shared_->plan);
    if (!future) return {};
    writer_ = future;
    c->wait_for_credit();
    return future;
}

void NativeRequest::body_came(std::string_view chunk, bool last) {
    body_.came(chunk, last);
}

void NativeRequest::credit_came() {
    if (shared_->plan) settle(*shared_->plan, writer_, Py_None);
}

void NativeRequest::broke(Broken why) {
    body_.broke(why);
    const py::Ref task = std::exchange(task_, py::Ref());
    if (!shared_->plan) return;
    if (!is_pending(*shared_->plan, writer_)) {
        // The generator waits for something of its own, perhaps for ever: cancelling is what closes it. A
        // write that waits is told by an exception instead, as a cancel could hit the generator's clean-up.
        if (!task) return;
        const py::Ref done =
            py::Ref::steal(PyObject_CallMethodNoArgs(task.get(), shared_->plan->names.cancel.get()));
        if (!done) PyErr_WriteUnraisable(task.get());
        return;
    }
    const py::Ref e = py::Ref::steal(PyObject_CallNoArgs(shared_->plan->client_disconnected.get()));
    if (e)
        settle_raising(*shared_->plan, writer_, e.get());
    else
        PyErr_WriteUnraisable(nullptr);
}

void NativeRequest::ask() {
    if (Channel* c = channel()) c->read_body();
}

void NativeRequest::streams() {
    task_ = py::Ref::steal(PyObject_CallNoArgs(shared_->plan->current_task.get()));
    if (!task_) PyErr_Clear();  // No loop is running: then nobody waits, either.
    if (task_.get() == Py_None) task_.reset();
}

int NativeRequest::traverse(visitproc visit, void* arg) const {
    Py_VISIT(task_.get());
    Py_VISIT(writer_.get());
    return body_.traverse(visit, arg);
}

void NativeRequest::clear() noexcept {
    writer_.reset();
    task_.reset();
    body_.clear();
}

}  // namespace asioserve::app
