// The reading half of asyncio's pipe transports, as far as it runs per packet: pipes, FIFOs, sockets and
// terminals. What runs per pipe, and what the program sees, is in asioloop/_pipes.py.
//
// An edge says that something is there → one entry in the loop's ready queue → read() into the loop's buffer
// and an exact bytes object → protocol.data_received(). A short read does not say that all is taken (a
// terminal gives a line at a time, a pipe in packet mode a packet), so poll() is asked then. It is not simply
// read again: whoever shares the descriptor (our parent does stdin) may have made it a blocking one.
//
// Threads: under the GIL, on the loop's thread or while nobody runs it; the destructor on any thread.
#pragma once

#include "stage3_native_loop/native/core/ready_queue.hpp"
#include "stage3_native_loop/native/os/edge_watch.hpp"

namespace asioloop {

class LoopCore;
struct ModuleState;

class PipeReader final : public NativeCallback, public EdgeWatch::Listener {
  public:
    /// Part of the Python object `self`, which it does not own.
    PipeReader(const ModuleState& module, PyObject* self) noexcept : module_(module), self_(self) {}
    ~PipeReader();
    PipeReader(const PipeReader&) = delete;
    PipeReader& operator=(const PipeReader&) = delete;

    /// Once, before anything else. False with an exception set.
    bool open(PyObject* loop, int fd);
    /// Who is told of data from now on.
    void set_protocol(PyObject* protocol) { protocol_ = asioserve::py::Ref::borrow(protocol); }
    /// Reads from now on, in the current context. `transport` is told of the end and of errors, and kept
    /// alive until it pauses, as a program need not do it. False with an exception set.
    bool start(PyObject* transport);
    /// No more data, until start(). Returns the transport, of which this may have been the last reference.
    asioserve::py::Ref pause();
    /// For good: the descriptor, which is still open, is about to be closed.
    void stop();

    /// From the ready queue: the read that is due.
    bool run(bool write) override;
    /// See EdgeWatch.
    void edge(EdgeWatch::Edge what) override;

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);
    /// For tp_clear.
    void clear();

    /// What others look at.
    /// @{
    int fd() const noexcept { return fd_; }
    bool reading() const noexcept { return reading_; }
    /// @}

    /// Pipes' own: how it watches this one, and its transport while it reads, which belongs to the loop. A
    /// reader refers to its transport by no other way: they are no cycle.
    /// @{
    EdgeWatch watch;
    asioserve::py::Ref kept;
    /// @}

  private:
    bool on_readable(PyObject* transport);
    ssize_t receive(asioserve::py::Ref& data, std::size_t& room);
    void queue_read();
    asioserve::py::Ref handle_of(PyObject* transport);
    bool report_failure(PyObject* loop, PyObject* transport);

    const ModuleState& module_;
    PyObject* const self_;
    LoopCore* core_ = nullptr;  // inside loop_; null before open()
    asioserve::py::Ref loop_, protocol_, context_;
    int fd_ = -1;
    std::size_t bulk_ = 0;  // not 0: reads have been long, and go into a bytes object of this size straight
    bool reading_ = false;
    bool maybe_readable_ = false;   // an edge came, and nobody has yet found the end
    bool surely_readable_ = false;  // an edge came since the last read
    bool queued_ = false;
};

/// Makes the type PipeReader for the module. New reference, null with an exception set.
PyObject* make_pipe_reader_type(PyObject* module);

}  // namespace asioloop
