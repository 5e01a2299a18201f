// THE seam: what the three stages differ in. A stage implements Runner and nothing else.
#pragma once

#include "common/runner/counters.hpp"
#include "common/runner/handler.hpp"

namespace asioserve {

/// The life of the program on the thread of the Python loop (common/app/program.hpp); the seam does not look
/// inside.
class Program;

class Runner {
  public:
    virtual ~Runner() = default;

    /// Runs the program on the calling thread, which is the main one, until it ends: makes the asyncio loop,
    /// drives I/O where it belongs, and returns the exit code. Called once, without the GIL.
    virtual int run(Program& program) = 0;

    /// Starts an exchange that Handler::route said is `plain` or `coroutine`, body collected if so asked. I/O
    /// thread. It is answered exactly once, perhaps before this returns.
    virtual void start(ExchangePtr x, Kind kind) = 0;

    /// Cancels the task that answers `x` (task.cancel() of asyncio), if it still runs. I/O thread.
    virtual void cancel(Exchange& x) = 0;

    /// Runs the job with the GIL held on the thread of the Python loop, soon; in stage 3 that may be right
    /// here. Any thread. A job that comes after the loop has ended is destroyed unrun, with the GIL held.
    virtual void to_python(Job job) = 0;

    /// Runs the job on the I/O thread, soon; may be right here. Any thread, with or without the GIL.
    virtual void to_io(Job job) = 0;

    /// What was counted so far, summed over the threads. Any thread; exact once the program has ended.
    virtual Counters counters() const = 0;
};

}  // namespace asioserve
