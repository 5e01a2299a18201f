// The reading half of asyncio's pipe transports, as far as it runs per packet: pipes, FIFOs, sockets and
// terminals. What runs per pipe, and what the program sees, is in asioloop/_pipes.py.
//
// An edge says that something is there → one entry in the loop's ready queue → read() into the loop's buffer
// and an exact bytes object → protocol.data_received(). A short read does not say that all is taken (a
// terminal gives a line at a time, a pipe in packet mode a packet), so poll() is asked then. It is not simply
// read again: whoever shares the descriptor (our parent does stdin) may have made it a blocking one.
//
// Threads: as pipe_end.hpp.
#pragma once

#include "stage3_native_loop/native/net/pipe_end.hpp"

namespace asioloop {

class PipeReader final : public PipeEnd {
  public:
    /// Part of the Python object `self`, which it does not own.
    PipeReader(const ModuleState& module, PyObject* self) noexcept : PipeEnd(module, self) {}

    /// Who is told of data from now on.
    void set_protocol(PyObject* protocol) { protocol_ = asioserve::py::Ref::borrow(protocol); }
    /// Reads from now on, in the current context. `transport` is told of the end and of errors, and kept
    /// alive until it pauses, as a program need not do it. False with an exception set.
    bool start(PyObject* transport);
    asioserve::py::Ref pause() override;
    /// See EdgeWatch.
    void edge(EdgeWatch::Edge what) override;
    /// Whether it waits for something to arrive.
    bool reading() const noexcept { return reading_; }

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);
    /// For tp_clear.
    void clear();

  private:
    bool due(bool write, asioserve::py::Ref& context) override;
    bool act(bool write, PyObject* transport) override;
    bool read_some(PyObject* transport);
    ssize_t receive(asioserve::py::Ref& data, std::size_t& room);
    void queue_read();

    asioserve::py::Ref protocol_, context_;
    std::size_t bulk_ = 0;  // not 0: reads have been long, and go into a bytes object of this size straight
    bool reading_ = false;
    bool maybe_readable_ = false;   // an edge came, and nobody has yet found the end
    bool surely_readable_ = false;  // an edge came since the last read
    bool queued_ = false;
};

/// Makes the type PipeReader for the module. New reference, null with an exception set.
PyObject* make_pipe_reader_type(PyObject* module);

}  // namespace asioloop
