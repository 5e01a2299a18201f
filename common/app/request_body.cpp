#include "common/app/request_body.hpp"

#include <utility>

#include "common/app/futures.hpp"
#include "common/app/ready.hpp"
#include "common/python/errors.hpp"

namespace asioserve::app {

namespace {

py::Ref make_bytes(std::string_view chunk) ASIOSERVE_REQUIRES(py::gil) {
    return py::Ref::steal(PyBytes_FromStringAndSize(chunk.data(), static_cast<Py_ssize_t>(chunk.size())));
}

py::Ref instance(PyObject* type, PyObject* argument) ASIOSERVE_REQUIRES(py::gil) {
    return py::Ref::steal(argument == nullptr ? PyObject_CallNoArgs(type)
                                              : PyObject_CallOneArg(type, argument));
}

int status_of(Broken why) noexcept {
    switch (why) {
        case Broken::timed_out:
            return 408;
        case Broken::too_large:
            return 413;
        case Broken::malformed:
            return 400;
        case Broken::peer_left:
        case Broken::draining:
            break;
    }
    return 0;
}

}  // namespace

py::Ref RequestBody::error() const {
    const Plan& plan = *shared_.plan;
    const int status = status_of(why_);
    if (status == 0) return instance(plan.client_disconnected.get(), nullptr);
    const py::Ref number = py::Ref::steal(PyLong_FromLong(status));
    return number ? instance(plan.http_exception.get(), number.get()) : py::Ref();
}

py::Ref RequestBody::joined() {
    if (whole_) return whole_;
    if (chunks_.empty()) {
        whole_ = make_bytes(std::exchange(arrived_, {}));
        return whole_;
    }
    Py_ssize_t size = 0;
    for (const py::Ref& c : chunks_) size += PyBytes_GET_SIZE(c.get());
    whole_ = py::Ref::steal(PyBytes_FromStringAndSize(nullptr, size));
    if (!whole_) return {};
    char* to = PyBytes_AS_STRING(whole_.get());
    for (const py::Ref& c : chunks_) {
        const std::string_view from(PyBytes_AS_STRING(c.get()),
                                    static_cast<std::size_t>(PyBytes_GET_SIZE(c.get())));
        to += from.copy(to, from.size());
    }
    chunks_.clear();
    return whole_;
}

void RequestBody::ask() {
    if (std::exchange(asked_, true)) return;
    source_.ask();
}

bool RequestBody::collecting() {
    std::erase_if(readers_, [this](const py::Ref& f) {
        py::gil.assert_held();
        return !is_pending(*shared_.plan, f);
    });
    return !readers_.empty();
}

py::Ref RequestBody::read() {
    if (!shared_.plan) return {};
    if (streamed_ && !whole_) {
        PyErr_SetString(PyExc_RuntimeError, "the body has been read by stream() already");
        return {};
    }
    if (whole_ || ended_) {
        const py::Ref all = joined();
        return all ? make_ready(shared_, all.get()) : py::Ref();
    }
    if (broken_) {
        const py::Ref e = error();
        return e ? make_ready_raising(shared_, e.get()) : py::Ref();
    }
    py::Ref future = make_future(*shared_.plan);
    if (!future) return {};
    readers_.push_back(future);
    ask();
    return future;
}

py::Ref RequestBody::next() {
    if (!shared_.plan) return {};
    if (is_pending(*shared_.plan, reader_) || collecting()) {
        PyErr_SetString(PyExc_RuntimeError, "somebody else is reading the body already");
        return {};
    }
    reader_.reset();
    if (whole_ || (ended_ && !arrived_.empty())) {
        // It came as a whole, or read() was first: then it is one chunk, as often as somebody asks anew.
        py::Ref all = joined();
        if (!all) return {};
        if (!std::exchange(streamed_, true) && PyBytes_GET_SIZE(all.get()) > 0)
            return make_ready(shared_, all.get());
    }
    streamed_ = true;
    if (!chunks_.empty()) {
        const py::Ref chunk = std::move(chunks_.front());
        chunks_.pop_front();
        return make_ready(shared_, chunk.get());
    }
    if (ended_) {
        const py::Ref stop = instance(PyExc_StopAsyncIteration, nullptr);
        return stop ? make_ready_raising(shared_, stop.get()) : py::Ref();
    }
    if (broken_) {
        const py::Ref e = error();
        return e ? make_ready_raising(shared_, e.get()) : py::Ref();
    }
    py::Ref future = make_future(*shared_.plan);
    if (!future) return {};
    reader_ = future;
    ask();
    return future;
}

void RequestBody::came(std::string_view chunk, bool last) {
    asked_ = false;
    ended_ = ended_ || last;
    if (!shared_.plan) return;
    const Plan& plan = *shared_.plan;
    if (!chunk.empty()) {
        py::Ref bytes = make_bytes(chunk);
        if (!bytes) return PyErr_WriteUnraisable(nullptr);
        chunks_.push_back(std::move(bytes));
    }
    if (collecting()) {
        if (!ended_) return ask();
        const py::Ref all = joined();
        if (!all) return PyErr_WriteUnraisable(nullptr);
        for (py::Ref& f : std::exchange(readers_, {})) settle(plan, f, all.get());
    } else if (is_pending(plan, reader_)) {
        if (!chunks_.empty()) {
            const py::Ref bytes = std::move(chunks_.front());
            chunks_.pop_front();
            settle(plan, reader_, bytes.get());
        } else if (ended_) {
            const py::Ref stop = instance(PyExc_StopAsyncIteration, nullptr);
            if (stop) settle_raising(plan, reader_, stop.get());
        } else {
            ask();
        }
    }
}

void RequestBody::broke(Broken why) {
    if (ended_ || std::exchange(broken_, true)) return;
    asked_ = false;
    why_ = why;
    if (!shared_.plan) return;
    const py::Ref e = error();
    if (!e) return PyErr_WriteUnraisable(nullptr);
    settle_raising(*shared_.plan, reader_, e.get());
    for (py::Ref& f : std::exchange(readers_, {})) settle_raising(*shared_.plan, f, e.get());
}

int RequestBody::traverse(visitproc visit, void* arg) const {
    Py_VISIT(reader_.get());
    for (const py::Ref& f : readers_) Py_VISIT(f.get());
    return 0;
}

void RequestBody::clear() noexcept {
    reader_.reset();
    readers_.clear();
    chunks_.clear();
}

}  // namespace asioserve::app
