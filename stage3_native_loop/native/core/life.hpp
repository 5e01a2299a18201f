// What others keep of a loop that may be closed before they are done: its io_context, and whether the loop is
// there.
//
// A socket or a coroutine in C++ may outlive the loop that it was made on. Its io_context then is still
// there, as Asio demands, but nothing runs on it any more, and nothing waits on it: close() has destroyed
// whatever did.
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>

namespace asioloop {

class LoopCore;

/// Threads: while_open() and io() any; everything else under the GIL, on the loop's thread or while nobody
/// runs it.
class LoopLife {
  public:
    /// `io` null: an io_context of its own. Otherwise it outlives all that is made on it, and close() leaves
    /// what waits there where it is.
    LoopLife(LoopCore& core, asio::io_context* io);

    /// What the loop runs on.
    asio::io_context& io() noexcept { return *io_; }
    /// The loop; null once it is closed.
    LoopCore* core() const noexcept { return core_; }

    /// Calls `f` unless the loop is closed, which cannot happen before `f` returns. False: not called.
    template <class F>
    bool while_open(F&& f) {
        const std::lock_guard lock(closing_);
        if (closed_) return false;
        std::forward<F>(f)();
        return true;
    }

    /// Keeps it alive until forget() or close(), whichever comes first.
    void keep(std::shared_ptr<void> what) { kept_.insert(std::move(what)); }
    /// Undoes keep().
    void forget(const std::shared_ptr<void>& what) { kept_.erase(what); }

    /// Destroys, uncalled, all that waits. Again: nothing happens.
    void close();

  private:
    /// Asio lets a derived class destroy what is pending before the rest goes.
    class OwnContext : public asio::io_context {
      public:
        OwnContext() : asio::io_context(ASIO_CONCURRENCY_HINT_UNSAFE_IO) {}
        using asio::execution_context::shutdown;
    };

    // constant after construction
    std::optional<OwnContext> own_;
    asio::io_context* const io_;

    // under the GIL
    LoopCore* core_;
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
    std::unordered_set<std::shared_ptr<void>> kept_;

    // closing_
    std::mutex closing_;
    bool closed_ = false;
};

}  // namespace asioloop
