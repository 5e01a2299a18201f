// Calls that may end the thread instead of returning. Up to CPython 3.13 a thread that asks for the GIL while
// the interpreter ends (a daemon thread with a loop in it) is ended by pthread_exit(), which unwinds the
// stack: our destructors would let go of Python objects without the GIL. Such a thread stays where it is
// instead, as it does from CPython 3.14 on; the process is about to end.
#pragma once

#include <cxxabi.h>
#include <unistd.h>

#include <utility>

namespace asioloop {

/// f(), which may enter Python or take the GIL.
/// (The library binds the reference to nothing, which UndefinedBehaviorSanitizer would report.)
template <class F>
__attribute__((no_sanitize("undefined"))) decltype(auto) without_unwinding(F&& f) {
    try {
        return std::forward<F>(f)();
    } catch (abi::__forced_unwind&) {
        // To leave this handler is not allowed but by unwinding further.
        for (;;) ::pause();
    }
}

}  // namespace asioloop
