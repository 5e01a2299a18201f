// A listening socket of a server: connections are accepted as they come, in batches, and become transports.
//
// An edge says that somebody has come → one entry in the loop's ready queue → accept4() until nobody is left
// or the batch is full; then the entry is queued again, so that a flood leaves room for the connections that
// are there. Each connection gets its protocol in a context of its own. What needs more than a stream, TLS
// and debug mode, is handed to Python (asioloop/_connections.py).
//
// Threads: under the GIL, on the loop's thread or while nobody runs it.
#pragma once

#include "stage3_native_loop/native/core/keeps_module.hpp"
#include "stage3_native_loop/native/core/ready_queue.hpp"
#include "stage3_native_loop/native/net/stream.hpp"
#include "stage3_native_loop/native/os/edge_watch.hpp"

namespace asioloop {

class Acceptor final : public NativeCallback, public EdgeWatch::Listener {
  public:
    /// Part of the Python object `self`, which it does not own.
    Acceptor(const ModuleState& module, PyObject* self) noexcept : module_(module), self_(self) {}
    ~Acceptor() { stop(false); }
    Acceptor(const Acceptor&) = delete;
    Acceptor& operator=(const Acceptor&) = delete;

    /// What it is given. Borrowed.
    struct Parts {
        PyObject* loop = nullptr;             ///< an asioloop.Loop
        PyObject* transport_class = nullptr;  ///< see make_stream()
        PyObject* factory = nullptr;          ///< of protocols
        PyObject* server = nullptr;           ///< asyncio.Server, or None
        PyObject* by_hand =
            nullptr;  ///< called with (fd, address) for a connection that needs more than a stream
        PyObject* failed = nullptr;  ///< called with the OSError when there is no room for a connection
    };
    /// And how it is done.
    struct Ways {
        int fd = -1;                              ///< not owned
        Stream::Kind kind = Stream::Kind::other;  ///< of the connections
        bool no_delay = false;                    ///< see Stream::Connection
        bool all_by_hand = false;                 ///< not only in debug mode
        int batch = 1;                            ///< connections a turn
    };
    /// Once: accepts from now on. False with an exception set.
    bool start(const Parts& parts, const Ways& ways);
    /// Looks again, after there was no room.
    void resume();
    /// asyncio.Server, or None; empty once it has stopped.
    const asioserve::py::Ref& server() const noexcept { return server_; }
    /// Accepts nothing any more, and forgets all. `closed`: the socket is closed already.
    void stop(bool closed) noexcept;

    /// From the ready queue: accepts a batch.
    bool run(bool write) override;
    /// See EdgeWatch.
    void edge(EdgeWatch::Edge what) override;

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);
    /// For tp_clear.
    void clear() noexcept;

  private:
    void queue();
    bool accept_batch();
    bool accept_failed(int error);
    bool accepted(int fd, SocketName& peer);
    bool make_transport(int fd, SocketName& peer);
    bool hand_over(int fd, const SocketName& peer);

    const ModuleState& module_;
    const KeepsModule keeps_module_{module_};
    PyObject* const self_;
    LoopCore* core_ = nullptr;  // inside loop_
    asioserve::py::Ref loop_, class_, factory_, server_, by_hand_, failed_, context_;
    EdgeWatch watch_;
    Ways ways_;
    bool queued_ = false;
    bool failing_ = false;  // the last accept4() failed in a way that has no name
};

/// Makes the type Acceptor for the module. New reference, null with an exception set.
PyObject* make_acceptor_type(PyObject* module);

}  // namespace asioloop
