// add_reader and add_writer over asio::posix::stream_descriptor, level-triggered as asyncio promises.
//
// A wait is armed for one event; it is armed again once the callback has run (epoll_ctl MOD reports a
// descriptor that is still ready at once), so a callback that leaves data behind is called again and a turn
// never queues one twice. Threads: under the GIL, except event(), which the loop's thread enters from Asio
// and which takes the GIL itself.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <memory>
#include <unordered_map>

#include "common/python/ref.hpp"

namespace asioloop {

class LoopCore;

/// One descriptor and its callbacks. Alive while the map, a wait or a ready entry refers to it.
struct FdWatch : std::enable_shared_from_this<FdWatch> {
    /// Does not own `fd`, which is released, never closed.
    FdWatch(asio::io_context& io, int fd) : descriptor(io, fd) {}

    /// Reading or writing.
    struct Side {
        PyObject* handle = nullptr;  ///< owned; null when nobody is interested
        bool armed = false;          ///< a wait is under way
        bool queued = false;         ///< the callback is in the ready queue
    };
    /// One of the two.
    Side& side(bool write) noexcept { return write ? writer : reader; }

    /// What add_reader() was given, when that was no number: owned, so that it is found when it is closed.
    PyObject* file = nullptr;
    /// How Asio waits for it.
    asio::posix::stream_descriptor descriptor;
    /// What is watched for.
    /// @{
    Side reader, writer;
    /// @}
    /// Keeps this alive while a ready entry points here.
    std::shared_ptr<FdWatch> in_queue;
    /// Nobody is interested any more: a wait that ends says nothing.
    bool closed = false;
};

class FdWatches {
  public:
    /// Both outlive it.
    FdWatches(LoopCore& loop, asio::io_context& io) : loop_(loop), io_(io) {}
    /// Sets the callback of one side, in place of an earlier one, which is cancelled. Takes `handle` over;
    /// `file` is what has the descriptor, or its number. False with an exception set: it cannot be watched.
    bool set(int fd, PyObject* file, bool write, asioserve::py::Ref handle);
    /// Null: nobody watches it.
    const FdWatch* find(int fd) const;
    /// Of a file that set() was given, by identity; -1: there is none.
    int descriptor_of(PyObject* file) const;
    /// True when there was a callback. It is cancelled.
    bool remove(int fd, bool write);
    /// The callback has run: waits for the next event.
    void ran(FdWatch& watch, bool write);
    /// Forgets all, closes none.
    void close();

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);

  private:
    void arm(FdWatch& watch, bool write);
    void event(FdWatch& watch, bool write);

    LoopCore& loop_;
    asio::io_context& io_;
    std::unordered_map<int, std::shared_ptr<FdWatch>> watches_;
};

}  // namespace asioloop
