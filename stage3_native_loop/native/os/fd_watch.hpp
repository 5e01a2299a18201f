// add_reader and add_writer over edge-triggered watches, level-triggered as asyncio promises.
//
// An edge queues the callback. Once it has run, poll() says whether the descriptor is ready still; then it is
// queued again, so a callback that leaves data behind is called again and a turn never queues one twice.
// Otherwise an edge comes with what happens next. Threads: under the GIL, as EdgeWatch's.
#pragma once

#include <memory>
#include <unordered_map>

#include "common/python/ref.hpp"
#include "stage3_native_loop/native/os/edge_watch.hpp"

namespace asioloop {

class FdWatches;
class LoopCore;

/// One descriptor and its callbacks. Alive while the map or a ready entry refers to it.
struct FdWatch final : std::enable_shared_from_this<FdWatch>, EdgeWatch::Listener {
    /// Does not own `fd`. Throws asio::system_error.
    FdWatch(FdWatches& watches, LoopCore& loop, int fd);

    /// Reading or writing.
    struct Side {
        PyObject* handle = nullptr;  ///< owned; null when nobody is interested
        bool queued = false;         ///< the callback is in the ready queue
        bool edge = false;           ///< there was one, and poll() has not said since that nothing is there
    };
    /// One of the two.
    Side& side(bool write) noexcept { return write ? writer : reader; }

    /// What add_reader() was given, when that was no number: owned, so that it is found when it is closed.
    PyObject* file = nullptr;
    /// Its number.
    const int fd;
    /// How Asio waits for it.
    EdgeWatch watch;
    /// What is watched for.
    /// @{
    Side reader, writer;
    /// @}
    /// Keeps this alive while a ready entry points here.
    std::shared_ptr<FdWatch> in_queue;
    /// See EdgeWatch.
    void edge(EdgeWatch::Edge what) override;

  private:
    FdWatches& watches_;
};

class FdWatches {
  public:
    /// Which outlives it.
    explicit FdWatches(LoopCore& loop) : loop_(loop) {}
    /// Sets the callback of one side, in place of an earlier one, which is cancelled. Takes `handle` over;
    /// `file` is what has the descriptor, or its number. False with an exception set: it cannot be watched.
    bool set(int fd, PyObject* file, bool write, asioserve::py::Ref handle);
    /// Null: nobody watches it.
    const FdWatch* find(int fd) const;
    /// Of a file that set() was given, by identity; -1: there is none.
    int descriptor_of(PyObject* file) const;
    /// True when there was a callback. It is cancelled.
    bool remove(int fd, bool write);
    /// The callback has run: queues it again, or waits for the next event.
    void ran(FdWatch& watch, bool write);
    /// Forgets all, closes none.
    void close();

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);

  private:
    friend struct FdWatch;
    void queue(FdWatch& watch, bool write);
    void queue_if_ready(FdWatch& watch, bool write);

    LoopCore& loop_;
    std::unordered_map<int, std::shared_ptr<FdWatch>> watches_;
};

}  // namespace asioloop
