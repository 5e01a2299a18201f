#include "stage3_native_loop/native/net/streams.hpp"

#include <asio/system_error.hpp>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "stage3_native_loop/native/core/loop.hpp"
#include "stage3_native_loop/native/net/acceptor.hpp"
#include "stage3_native_loop/native/net/stream.hpp"

namespace asioloop {

using asioserve::py::Ref;

namespace {

/// What a connection receives in bulk is allocated and freed again and again. The C library gives such blocks
/// back to the kernel each time, and they come back page by page, at the price of several copies, until it
/// has seen the program free one that was larger. So it is shown one.
void keep_large_blocks() {
    constexpr std::size_t large = 8 * 1024 * 1024;
    void* volatile block = PyMem_RawMalloc(large);  // never touched: it costs no memory
    PyMem_RawFree(block);
}

}  // namespace

Streams::~Streams() {
    if (hang_ups_ >= 0) ::close(hang_ups_);
}

std::span<char, Streams::buffer_size> Streams::buffer() {
    if (!buffer_) {
        buffer_ = std::make_unique_for_overwrite<char[]>(buffer_size);
        keep_large_blocks();
    }
    return std::span<char, buffer_size>(buffer_.get(), buffer_size);
}

void Streams::add(Stream& stream) {
    const auto fd = static_cast<std::size_t>(stream.fd());
    if (by_fd_.size() <= fd) by_fd_.resize(fd + fd / 2 + 16);
    by_fd_[fd] = &stream;
}

Stream* Streams::find(int fd) const noexcept {
    const auto at = static_cast<std::size_t>(fd);
    return fd >= 0 && at < by_fd_.size() ? by_fd_[at] : nullptr;
}

bool Streams::watch(Stream& stream) {
    if (!loop_.in_own_process()) {
        PyErr_SetString(PyExc_RuntimeError, "this event loop is the parent process's");
        return false;
    }
    stop_abandoned();
    try {
        stream.watch = EdgeWatch(loop_, stream.fd(), stream);
    } catch (const asio::system_error& e) {
        errno = e.code().value();
        PyErr_SetFromErrno(PyExc_OSError);
        return false;
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
        return false;
    }
    return true;
}

bool Streams::watch_hang_ups(int fd) noexcept {
    if (!loop_.in_own_process()) return false;
    if (hang_ups_ < 0) {
        hang_ups_ = epoll_create1(EPOLL_CLOEXEC);
        if (hang_ups_ < 0) return false;
        try {
            hang_ups_watch_ = EdgeWatch(loop_, hang_ups_, *this);
        } catch (const std::exception&) {
            ::close(std::exchange(hang_ups_, -1));
            return false;
        }
    }
    epoll_event event{};
    event.events = EPOLLRDHUP | EPOLLET;  // hang-ups of both sides and errors come unasked
    event.data.fd = fd;
    // EEXIST: the same connection as before, after a pause in which somebody else read.
    return epoll_ctl(hang_ups_, EPOLL_CTL_ADD, fd, &event) == 0 ||
           (errno == EEXIST && epoll_ctl(hang_ups_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void Streams::edge(EdgeWatch::Edge) {
    std::array<epoll_event, 64> events;
    int n = 0;
    do {
        n = epoll_wait(hang_ups_, events.data(), static_cast<int>(events.size()), 0);
        for (int i = 0; i < n; ++i) {
            // Of a number that is somebody else's by now it is a false alarm, which costs a recv().
            const auto fd = static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.fd);
            if (fd < by_fd_.size() && by_fd_[fd]) by_fd_[fd]->edge(EdgeWatch::Edge::error);
        }
    } while (n == static_cast<int>(events.size()));
}

bool Streams::doubt(const Stream& stream) noexcept {
    try {
        doubts_.push_back({stream.fd(), POLLIN, 0});
    } catch (const std::bad_alloc&) {
        return false;
    }
    return true;
}

void Streams::poll_doubts() {
    loop_.metrics().polls.add();
    // Refused (RLIMIT_NOFILE may have been lowered): then all of them are read.
    const bool asked = ::poll(doubts_.data(), doubts_.size(), 0) >= 0;
    for (const pollfd& doubt : doubts_) {
        if (asked && !doubt.revents) continue;
        // Of a number that is somebody else's by now it is a false alarm, which costs a recv().
        if (Stream* stream = find(doubt.fd)) stream->edge(EdgeWatch::Edge::read);
    }
    doubts_.clear();
}

void Streams::remove(Stream& stream) {
    const auto fd = static_cast<std::size_t>(stream.fd());
    if (fd < by_fd_.size() && by_fd_[fd] == &stream) by_fd_[fd] = nullptr;
}

void Streams::keep(Stream& stream, bool on) {
    if (on == static_cast<bool>(stream.kept)) return;
    // Out of the stream first: it may be the last reference.
    Ref other = on ? Ref::borrow(stream.self()) : Ref();
    stream.kept.swap(other);
}

void Streams::abandon(Stream& stream) {
    remove(stream);
    if (!stream.watch) return;
    stream.watch.mute();
    abandoned_.push_back(std::move(stream.watch));
    if (!loop_.running() || loop_.on_loop_thread()) stop_abandoned();
}

void Streams::stop_abandoned() {
    for (EdgeWatch& watch : abandoned_) watch.stop(true);
    abandoned_.clear();
}

void Streams::close() {
    while (!acceptors_.empty()) acceptors_.back()->stop(false);
    stop_abandoned();
    std::vector<Ref> kept;  // let go at the end: a transport that goes runs code
    for (Stream* stream : by_fd_) {
        if (!stream) continue;
        stream->watch.stop(false);
        kept.push_back(std::move(stream->kept));
    }
    by_fd_.clear();
    hang_ups_watch_.stop(false);
    if (hang_ups_ >= 0) ::close(std::exchange(hang_ups_, -1));
}

int Streams::traverse(visitproc visit, void* arg) {
    for (Stream* stream : by_fd_)
        if (stream) Py_VISIT(stream->kept.get());
    return 0;
}

}  // namespace asioloop
