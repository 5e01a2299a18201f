// The ends of pipes of one loop: which it watches, and which it keeps alive.
//
// Threads: under the GIL, on the loop's thread or while nobody runs it; abandon() on any thread.
#pragma once

#include <unordered_set>
#include <vector>

#include "common/python/ref.hpp"
#include "stage3_native_loop/native/os/edge_watch.hpp"

namespace asioloop {

class LoopCore;
class PipeEnd;

class Pipes {
  public:
    /// Which outlives it.
    explicit Pipes(LoopCore& loop) : loop_(loop) {}

    /// Starts to watch a pipe's descriptor. False with an exception set.
    bool add(PipeEnd& end);
    /// Takes it out: its watch has stopped, and nothing refers to it any more.
    void remove(PipeEnd& end);
    /// A transport that nobody refers to goes, perhaps on another thread: then its watch is stopped when the
    /// loop's thread comes by. The descriptor is closed already.
    void abandon(PipeEnd& end);
    /// Forgets all, closes none.
    void close();

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);

  private:
    void stop_abandoned();

    LoopCore& loop_;
    std::unordered_set<PipeEnd*> ends_;
    std::vector<EdgeWatch> abandoned_;
};

}  // namespace asioloop
