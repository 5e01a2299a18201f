#include "stage3_native_loop/native/interop/foreign.hpp"

#include "stage3_native_loop/asioloop/include/asioloop.h"
#include "stage3_native_loop/native/interop/errors.hpp"
#include "stage3_native_loop/native/interop/executor.hpp"

#include <asio/post.hpp>
#include <asio/version.hpp>
#include <atomic>
#include <memory>
#include <utility>

/// See asioloop.h.
struct asioloop_ref {
    /// Of the loop.
    asioloop::Executor executor;
    /// References to it.
    std::atomic<std::size_t> count{1};
};

namespace asioloop {
namespace {

using asioserve::py::gil;

// One of the two is called, once: the handler that Asio destroys uncalled is the drop.
class Posted {
  public:
    Posted(asioloop_function run, asioloop_function drop, void* data) noexcept
        : run_(run), drop_(drop), data_(data) {}
    Posted(Posted&& other) noexcept
        : run_(std::exchange(other.run_, nullptr)), drop_(other.drop_), data_(other.data_) {}
    Posted& operator=(Posted&&) = delete;
    ~Posted() {
        if (run_ && drop_) drop_(data_);
    }
    void operator()() {
        std::exchange(run_, nullptr)(data_);
        gil.assert_held();
        if (PyErr_Occurred()) throw_exception();
    }

  private:
    asioloop_function run_;
    asioloop_function drop_;
    void* data_;
};

asioloop_ref* acquire(PyObject* loop) {
    gil.assert_held();
    try {
        return new asioloop_ref{loop ? Executor::of(loop) : Executor::of_running_loop()};
    } catch (const PythonException& error) {
        error.restore();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    }
    return nullptr;
}

asioloop_ref* share(asioloop_ref* loop) {
    loop->count.fetch_add(1, std::memory_order_relaxed);
    return loop;
}

void release(asioloop_ref* loop) {
    if (loop->count.fetch_sub(1, std::memory_order_acq_rel) == 1) delete loop;
}

int post(asioloop_ref* loop, asioloop_function run, asioloop_function drop, void* data) {
    try {
        asio::post(loop->executor, Posted(run, drop, data));
        return 0;
    } catch (const std::bad_alloc&) {
        return -1;
    }
}

constexpr asioloop_api api{ASIOLOOP_ABI, ASIO_VERSION, acquire, share, release, post};

}  // namespace

PyObject* make_foreign_api() {
    return PyCapsule_New(const_cast<asioloop_api*>(&api), ASIOLOOP_CAPSULE, nullptr);
}

}  // namespace asioloop
