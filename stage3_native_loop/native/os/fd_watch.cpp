#include "stage3_native_loop/native/os/fd_watch.hpp"

#include <cerrno>

#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/os/pollable.hpp"

namespace asioloop {

using asioserve::py::clear;
using asioserve::py::new_reference;
using asioserve::py::Ref;

namespace {

void cancel_and_drop(PyObject*& handle) {
    Ref h = Ref::steal(std::exchange(handle, nullptr));
    if (!h) return;
    Ref done = Ref::steal(PyObject_CallMethod(h.get(), "cancel", nullptr));
    if (!done) PyErr_WriteUnraisable(h.get());
}

}  // namespace

const FdWatch* FdWatches::find(int fd) const {
    auto found = watches_.find(fd);
    return found == watches_.end() ? nullptr : found->second.get();
}

int FdWatches::descriptor_of(PyObject* file) const {
    for (const auto& [fd, watch] : watches_)
        if (watch->file == file) return fd;
    return -1;
}

bool FdWatches::set(int fd, PyObject* file, bool write, Ref handle) {
    auto found = watches_.find(fd);
    if (found == watches_.end()) {
        if (!check_pollable(fd)) {
            PyErr_SetFromErrno(PyExc_OSError);
            return false;
        }
        try {
            auto watch = std::make_shared<FdWatch>(io_, fd);
            if (!PyLong_Check(file)) watch->file = new_reference(file);
            found = watches_.emplace(fd, std::move(watch)).first;
        } catch (const asio::system_error& e) {
            errno = e.code().value();
            PyErr_SetFromErrno(PyExc_OSError);
            return false;
        }
    }
    FdWatch& watch = *found->second;
    FdWatch::Side& side = watch.side(write);
    cancel_and_drop(side.handle);
    side.handle = handle.release();
    arm(watch, write);
    return true;
}

bool FdWatches::remove(int fd, bool write) {
    auto found = watches_.find(fd);
    if (found == watches_.end()) return false;
    std::shared_ptr<FdWatch> watch = found->second;
    FdWatch::Side& side = watch->side(write);
    if (!side.handle) return false;
    cancel_and_drop(side.handle);
    // The descriptor is the caller's, who may close it next: nothing of ours may stay registered for its
    // number.
    if (!watch->reader.handle && !watch->writer.handle) {
        watches_.erase(fd);
        watch->closed = true;
        watch->descriptor.release();
        clear(watch->file);
    }
    return true;
}

void FdWatches::arm(FdWatch& watch, bool write) {
    FdWatch::Side& side = watch.side(write);
    if (watch.closed || side.armed || side.queued || !side.handle) return;
    side.armed = true;
    watch.descriptor.async_wait(
        write ? asio::posix::descriptor_base::wait_write : asio::posix::descriptor_base::wait_read,
        [this, keep = watch.shared_from_this(), write](const asio::error_code& ec) {
            keep->side(write).armed = false;
            if (!keep->closed && ec != asio::error::operation_aborted) event(*keep, write);
        });
}

void FdWatches::event(FdWatch& watch, bool write) {
    FdWatch::Side& side = watch.side(write);
    if (!side.handle) return;
    loop_.ensure_gil();
    side.queued = true;
    watch.in_queue = watch.shared_from_this();
    loop_.push_ready({new_reference(side.handle), &watch, write});
}

void FdWatches::ran(FdWatch& watch, bool write) {
    watch.side(write).queued = false;
    // Moved out first: this may be the last owner.
    std::shared_ptr<FdWatch> keep = watch.shared_from_this();
    if (!watch.reader.queued && !watch.writer.queued) watch.in_queue.reset();
    arm(watch, write);
}

void FdWatches::close() {
    // Moved out first: what dies with a handle may look here.
    auto all = std::exchange(watches_, {});
    for (auto& [fd, watch] : all) {
        watch->closed = true;
        watch->descriptor.release();
        clear(watch->reader.handle);
        clear(watch->writer.handle);
        clear(watch->file);
    }
}

int FdWatches::traverse(visitproc visit, void* arg) {
    for (auto& [fd, watch] : watches_) {
        Py_VISIT(watch->reader.handle);
        Py_VISIT(watch->writer.handle);
        Py_VISIT(watch->file);
    }
    return 0;
}

}  // namespace asioloop
