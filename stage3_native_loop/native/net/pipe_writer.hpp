// The writing half of asyncio's pipe transports, as far as it runs per packet. What runs per pipe, and what
// the program sees, is in asioloop/_pipes.py.
//
// At once, as far as the kernel takes it; the rest is copied and waits for an edge. The same watch tells when
// whoever reads has gone.
//
// Threads: as pipe_end.hpp.
#pragma once

#include <vector>

#include "stage3_native_loop/native/net/pipe_end.hpp"

namespace asioloop {

class PipeWriter final : public PipeEnd {
  public:
    /// Part of the Python object `self`, which it does not own.
    PipeWriter(const ModuleState& module, PyObject* self) noexcept : PipeEnd(module, self) {}

    /// Tells `transport` when whoever reads has gone, and keeps it alive until then. What can be read from
    /// here (a socket) has asyncio's meaning: gone. False with an exception set.
    bool start(PyObject* transport, bool socket);
    /// Writes `data` after what waits; `transport` is told when all is written. False with an exception set.
    bool write(PyObject* data, PyObject* transport);
    /// Forgets what waits.
    void discard() noexcept;
    asioserve::py::Ref pause() override;
    /// See EdgeWatch.
    void edge(EdgeWatch::Edge what) override;
    /// Bytes that wait.
    std::size_t size() const noexcept { return out_.size() - done_; }

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);
    /// For tp_clear.
    void clear();

  private:
    bool due(bool write, asioserve::py::Ref& context) override;
    bool act(bool write, PyObject* transport) override;
    bool flush(PyObject* transport);
    bool attempt(const char* data, std::size_t length, std::size_t& taken);
    void queue_unless_full();

    asioserve::py::Ref gone_context_, write_context_;
    std::vector<char> out_;  // from done_ on
    std::size_t done_ = 0;
    bool full_ = false;  // the last write took nothing: an edge will come
    bool socket_ = false;
    bool watches_for_end_ = false;
    bool gone_queued_ = false;
    bool write_queued_ = false;
};

/// Makes the type PipeWriter for the module. New reference, null with an exception set.
PyObject* make_pipe_writer_type(PyObject* module);

}  // namespace asioloop
