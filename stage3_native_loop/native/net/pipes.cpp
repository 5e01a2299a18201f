#include "stage3_native_loop/native/net/pipes.hpp"

#include <asio/system_error.hpp>

#include <cerrno>

#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/pipe_reader.hpp"
#include "stage3_native_loop/native/os/pollable.hpp"

namespace asioloop {

using asioserve::py::Ref;

bool Pipes::add(PipeReader& reader) {
    if (!loop_.in_own_process()) {
        PyErr_SetString(PyExc_RuntimeError, "this event loop is the parent process's");
        return false;
    }
    stop_abandoned();
    if (!check_pollable(reader.fd())) {
        PyErr_SetFromErrno(PyExc_OSError);
        return false;
    }
    try {
        readers_.insert(&reader);
        reader.watch = EdgeWatch(loop_, reader.fd(), reader);
    } catch (const asio::system_error& e) {
        readers_.erase(&reader);
        errno = e.code().value();
        PyErr_SetFromErrno(PyExc_OSError);
        return false;
    } catch (const std::bad_alloc&) {
        readers_.erase(&reader);
        PyErr_NoMemory();
        return false;
    }
    return true;
}

void Pipes::remove(PipeReader& reader) {
    readers_.erase(&reader);
}

void Pipes::abandon(PipeReader& reader) {
    readers_.erase(&reader);
    reader.watch.mute();
    abandoned_.push_back(std::move(reader.watch));
    if (!loop_.running() || loop_.on_loop_thread()) stop_abandoned();
}

void Pipes::stop_abandoned() {
    for (EdgeWatch& watch : abandoned_) watch.stop(true);
    abandoned_.clear();
}

void Pipes::close() {
    stop_abandoned();
    std::vector<Ref> kept;  // let go at the end: a transport that goes runs code
    for (PipeReader* reader : std::exchange(readers_, {})) {
        reader->watch.stop(false);
        kept.push_back(reader->pause());
    }
}

int Pipes::traverse(visitproc visit, void* arg) {
    for (PipeReader* reader : readers_) Py_VISIT(reader->kept.get());
    return 0;
}

}  // namespace asioloop
