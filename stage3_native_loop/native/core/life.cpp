#include "stage3_native_loop/native/core/life.hpp"

#include <utility>

namespace asioloop {

LoopLife::LoopLife(LoopCore& core, asio::io_context* io)
    : io_(io ? io : &own_.emplace()), core_(&core), work_(asio::make_work_guard(*io_)) {}

void LoopLife::close() {
    core_ = nullptr;
    {
        const std::lock_guard lock(closing_);
        if (std::exchange(closed_, true)) return;
    }
    // What dies here may end in Python code, and that may come back to us: moved out first.
    std::exchange(kept_, {}).clear();
    if (own_) own_->shutdown();
    // Last: as long as there is work, another thread that lets go of some does not stop the io_context
    // meanwhile.
    work_.reset();
}

}  // namespace asioloop
