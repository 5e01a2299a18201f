// A thread that runs a loop does not end inside it. Up to CPython 3.13 a thread that asks for the GIL while
// the interpreter ends (a daemon thread with a loop in it) is ended by pthread_exit(), which unwinds the
// stack: our destructors, wherever they are on it, would let go of Python objects without the GIL. Such a
// thread stays where it is instead, as it does from CPython 3.14 on; the process is about to end.
#pragma once

#include <pthread.h>
#include <unistd.h>

#include <memory>

#ifdef __GLIBC__
// Of the Linux Standard Base; the header has their parameter alone.
extern "C" void _pthread_cleanup_push(_pthread_cleanup_buffer*, void (*)(void*), void*);
extern "C" void _pthread_cleanup_pop(_pthread_cleanup_buffer*, int);
#endif

namespace asioloop {

/// While there is one, in whose scope the thread may enter Python, pthread_exit() does not unwind the thread.
class StayAtExit {
  public:
#ifdef __GLIBC__
    // glibc runs a clean-up of this kind when it is about to unwind past the address of its record. One that
    // is not on the stack is passed by before the first frame is.
    StayAtExit() {
        ::_pthread_cleanup_push(record_.get(), &stay, nullptr);
    }
    ~StayAtExit() {
        ::_pthread_cleanup_pop(record_.get(), 0);
    }
#else
    // Nobody else unwinds.
    StayAtExit() = default;
#endif
    StayAtExit(const StayAtExit&) = delete;
    StayAtExit& operator=(const StayAtExit&) = delete;

#ifdef __GLIBC__
  private:
    static void stay(void*) {
        for (;;) ::pause();
    }
    const std::unique_ptr<_pthread_cleanup_buffer> record_ = std::make_unique<_pthread_cleanup_buffer>();
#endif
};

}  // namespace asioloop
