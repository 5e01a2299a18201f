// What the two halves of the pipe transports have in common: a descriptor, how the loop watches it, and the
// transport that the loop keeps alive meanwhile.
//
// Threads: under the GIL, on the loop's thread or while nobody runs it; the destructor on any thread.
#pragma once

#include "stage3_native_loop/native/core/keeps_module.hpp"
#include "stage3_native_loop/native/core/ready_queue.hpp"
#include "stage3_native_loop/native/os/edge_watch.hpp"

namespace asioloop {

class LoopCore;
struct ModuleState;

class PipeEnd : public NativeCallback, public EdgeWatch::Listener {
  public:
    PipeEnd(const PipeEnd&) = delete;
    PipeEnd& operator=(const PipeEnd&) = delete;

    /// Once, before anything else. False with an exception set.
    bool open(PyObject* loop, int fd);
    /// Waits for nothing from now on. Returns the transport, of which this may have been the last reference.
    virtual asioserve::py::Ref pause() = 0;
    /// For good: the descriptor, which is still open, is about to be closed.
    void stop();

    /// From the ready queue: what is due, in the context of who asked for it; what fails is reported.
    bool run(bool write) final;
    /// What it watches.
    int fd() const noexcept { return fd_; }

    /// Pipes' own: how it watches this one, and its transport while it waits for something, which belongs to
    /// the loop. There is no other reference to the transport: the two are no cycle.
    /// @{
    EdgeWatch watch;
    asioserve::py::Ref kept;
    /// @}

  protected:
    /// Part of the Python object `self`, which it does not own.
    PipeEnd(const ModuleState& module, PyObject* self) noexcept : module_(module), self_(self) {}
    ~PipeEnd();

    /// Whether run() has anything to do, and in which context. What it gets when `due` is false is dropped.
    virtual bool due(bool write, asioserve::py::Ref& context) = 0;
    /// Does it. False with an exception set.
    virtual bool act(bool write, PyObject* transport) = 0;

    /// Registers the descriptor, unless that is done. False with an exception set.
    bool watched();
    /// Puts it in the ready queue.
    void push(bool write);

    /// Constant after open().
    /// @{
    const ModuleState& module_;
    const KeepsModule keeps_module_{module_};
    PyObject* const self_;
    LoopCore* core_ = nullptr;  // inside loop_
    asioserve::py::Ref loop_;
    int fd_ = -1;
    /// @}
};

}  // namespace asioloop
