// What a Stream keeps back until the end of the turn: see gathered.hpp.
#include "stage3_native_loop/native/core/aside.hpp"
#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/stream.hpp"

namespace asioloop {

using asioserve::py::Ref;

bool Stream::may_gather() const noexcept {
    // A program whose high-water mark is 0 wants to be told of every byte that the kernel has not taken. What
    // is neither TCP nor a Unix socket may be anything, and is written to as asyncio does.
    return gathered_ ||
           (core_ && core_->gathered().open() && out_.empty() && high_ > 0 && kind_ != Kind::other);
}

bool Stream::gather(std::span<Py_buffer> views, PyObject* const* owners) {
    if (!gathered_) {
        // Not a copy, which costs more than all else here; flush() makes one when it needs it.
        PyObject* current = PyThreadState_Get()->context;
        write_context_ = current ? Ref::borrow(current) : Ref::steal(PyContext_CopyCurrent());
        if (!write_context_) return false;
    }
    for (std::size_t i = 0; i < views.size(); ++i)
        if (!out_.add(owners[i], views[i], 0)) return false;
    if (!std::exchange(gathered_, true)) core_->gathered().add(*this);
    return out_.size() < Gathered::most || flush();
}

bool Stream::flush() {
    if (!std::exchange(gathered_, false) || !core_ || out_.empty()) return true;
    core_->metrics().writes.add();
    if (out_.send(fd_)) {
        write_context_.reset();
        return true;
    }
    const int error = errno;
    // In the context of the write, as what follows would have been. In a copy: a context is entered once at a
    // time, and somebody may be in this one.
    write_context_ = Ref::steal(PyContext_Copy(write_context_.get()));
    const Ref context = write_context_;
    if (!context || PyContext_Enter(context.get()) < 0) return false;
    errno = error;
    const bool ok = flush_failed();
    leave_context(context.get(), self_);
    return ok;
}

bool Stream::flush_failed() {
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
        out_.clear();
        return write_failed();
    }
    if (!watched()) return false;
    watch.want_write();
    keep_if_needed();
    return maybe_pause_protocol();
}

void Stream::forget_gathered() noexcept {
    gathered_ = false;
    out_.clear();
}

}  // namespace asioloop
