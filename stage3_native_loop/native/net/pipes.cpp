#include "stage3_native_loop/native/net/pipes.hpp"

#include <asio/system_error.hpp>

#include <cerrno>

#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/pipe_end.hpp"
#include "stage3_native_loop/native/os/pollable.hpp"

namespace asioloop {

using asioserve::py::Ref;

bool Pipes::add(PipeEnd& end) {
    if (!loop_.in_own_process()) {
        PyErr_SetString(PyExc_RuntimeError, "this event loop is the parent process's");
        return false;
    }
    stop_abandoned();
    if (!check_pollable(end.fd())) {
        PyErr_SetFromErrno(PyExc_OSError);
        return false;
    }
    try {
        ends_.insert(&end);
        end.watch = EdgeWatch(loop_, end.fd(), end);
    } catch (const asio::system_error& e) {
        ends_.erase(&end);
        errno = e.code().value();
        PyErr_SetFromErrno(PyExc_OSError);
        return false;
    } catch (const std::bad_alloc&) {
        ends_.erase(&end);
        PyErr_NoMemory();
        return false;
    }
    return true;
}

void Pipes::remove(PipeEnd& end) {
    ends_.erase(&end);
}

void Pipes::abandon(PipeEnd& end) {
    ends_.erase(&end);
    end.watch.mute();
    abandoned_.push_back(std::move(end.watch));
    if (!loop_.running() || loop_.on_loop_thread()) stop_abandoned();
}

void Pipes::stop_abandoned() {
    for (EdgeWatch& watch : abandoned_) watch.stop(true);
    abandoned_.clear();
}

void Pipes::close() {
    stop_abandoned();
    std::vector<Ref> kept;  // let go at the end: a transport that goes runs code
    for (PipeEnd* end : std::exchange(ends_, {})) {
        end->watch.stop(false);
        kept.push_back(end->pause());
    }
}

int Pipes::traverse(visitproc visit, void* arg) {
    for (PipeEnd* end : ends_) Py_VISIT(end->kept.get());
    return 0;
}

}  // namespace asioloop
