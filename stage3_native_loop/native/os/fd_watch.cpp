#include "stage3_native_loop/native/os/fd_watch.hpp"

#include <poll.h>

#include <asio/system_error.hpp>
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

/// What epoll tells asyncio's loop for the same interest.
bool is_ready(int fd, bool write) {
    pollfd asked{fd, static_cast<short>(write ? POLLOUT : POLLIN), 0};
    return poll(&asked, 1, 0) > 0 && (asked.revents & POLLNVAL) == 0;
}

}  // namespace

FdWatch::FdWatch(FdWatches& watches, LoopCore& loop, int number)
    : fd(number), watch(loop, number, *this), watches_(watches) {}

void FdWatch::edge(EdgeWatch::Edge what) {
    if (what != EdgeWatch::Edge::error) return watches_.queue(*this, what == EdgeWatch::Edge::write);
    // Urgent data is one too, and nothing that a reader is told of.
    reader.edge = true;
    watches_.queue_if_ready(*this, false);
}

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
            auto watch = std::make_shared<FdWatch>(*this, loop_, fd);
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
    if (write) watch.watch.want_write();
    // What came while nobody was interested is told now.
    queue_if_ready(watch, write);
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
        watch->watch.stop(false);
        clear(watch->file);
    }
    return true;
}

void FdWatches::queue(FdWatch& watch, bool write) {
    FdWatch::Side& side = watch.side(write);
    side.edge = true;
    if (!side.handle || std::exchange(side.queued, true)) return;
    watch.in_queue = watch.shared_from_this();
    loop_.push_ready({new_reference(side.handle), &watch, write});
}

void FdWatches::queue_if_ready(FdWatch& watch, bool write) {
    FdWatch::Side& side = watch.side(write);
    if (!side.edge || !side.handle || side.queued) return;
    if (is_ready(watch.fd, write))
        queue(watch, write);
    else
        side.edge = false;
}

void FdWatches::ran(FdWatch& watch, bool write) {
    watch.side(write).queued = false;
    // Moved out first: this may be the last owner.
    std::shared_ptr<FdWatch> keep = watch.shared_from_this();
    if (!watch.reader.queued && !watch.writer.queued) watch.in_queue.reset();
    if (watch.watch) queue_if_ready(watch, write);
}

void FdWatches::close() {
    // Moved out first: what dies with a handle may look here.
    auto all = std::exchange(watches_, {});
    for (auto& [fd, watch] : all) {
        watch->watch.stop(false);
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
