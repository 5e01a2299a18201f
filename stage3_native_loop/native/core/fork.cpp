// A loop in a process that was forked off while the loop was there.
//
// The child has the parent's epoll: what it took out of that, the parent would wait for in vain. Asio can
// give the child one of its own (notify_fork), and that is what descriptors are taken out of from then on.
#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

void LoopCore::forked() {
    if (!life_) return;
    closed_ = forked_ = true;
    gathered_.forget();
    if (running_ && !on_loop_thread()) {
        orphaned_ = true;
        return;
    }
    try {
        io_->notify_fork(asio::execution_context::fork_child);
    } catch (const asio::system_error&) {
        // Some descriptor was closed already, or there is none to be had for the epoll: nothing will be
        // waited for in either case.
    }
    // The fork may have been made by a handler of Asio's: no other one runs when it returns.
    io_->stop();
}

bool LoopCore::closed_error() const {
    PyErr_SetString(PyExc_RuntimeError,
                    forked_ ? "Event loop was made before this process was forked: make a new one here"
                            : "Event loop is closed");
    return false;
}

}  // namespace asioloop
