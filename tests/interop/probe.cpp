// What the tests do to the bridge that an example would not.
#include "stage3_native_loop/native/interop/pybind.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>
#include <future>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

namespace pb = pybind11;
using asioloop::as_future;
using asioloop::Executor;
using asioloop::Object;
using asioserve::py::Ref;

pb::object called(const Object& function) {
    return pb::reinterpret_borrow<pb::object>(function.get())();
}

// A handler that is no coroutine. What Python raises leaves it as PythonException.
void post(Object function) {
    asio::post(Executor::of_running_loop(), [function = std::move(function)] {
        asioserve::py::gil.assert_held();
        if (!Ref::steal(PyObject_CallNoArgs(function.get()))) asioloop::throw_exception();
    });
}

// A handler of the C API that nobody has looked at afterwards.
void post_and_forget(Object function) {
    asio::post(Executor::of_running_loop(), [function = std::move(function)] {
        [[maybe_unused]] const Ref unseen = Ref::steal(PyObject_CallNoArgs(function.get()));
    });
}

asio::awaitable<void> throws(std::string kind) {
    if (kind == "bad_alloc") throw std::bad_alloc();
    if (kind == "invalid_argument") throw std::invalid_argument(kind);
    if (kind == "domain_error") throw std::domain_error(kind);
    if (kind == "out_of_range") throw std::out_of_range(kind);
    if (kind == "overflow_error") throw std::overflow_error(kind);
    if (kind == "runtime_error") throw std::runtime_error(kind);
    if (kind == "int") throw 7;
    if (kind == "enoent") throw std::system_error(ENOENT, std::generic_category());
    if (kind == "eof") throw asio::system_error(asio::error::eof);
    if (kind == "host") throw asio::system_error(asio::error::host_not_found);
    if (kind == "aborted") throw asio::system_error(asio::error::operation_aborted);
    co_return;
}

Object raise(const std::string& kind) {
    return asio::co_spawn(Executor::of_running_loop(), throws(kind), as_future);
}

asio::awaitable<Object> through(Object awaitable) {
    co_return co_await asioloop::await(std::move(awaitable));
}

// Python through C++ to Python again.
Object pass(Object awaitable) {
    return asio::co_spawn(Executor::of_running_loop(), through(std::move(awaitable)), as_future);
}

// The same without a coroutine: one token straight into the other.
Object pass_directly(Object awaitable) {
    return asioloop::async_await(std::move(awaitable), as_future);
}

asio::awaitable<std::string> first_of(Object awaitable, int milliseconds) {
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(milliseconds));
    const auto done =
        co_await (asioloop::await(std::move(awaitable)) || timer.async_wait(asio::use_awaitable));
    co_return done.index() == 0 ? "python" : "timer";
}

// Whoever is second is cancelled.
Object race(Object awaitable, int milliseconds) {
    return asio::co_spawn(Executor::of_running_loop(), first_of(std::move(awaitable), milliseconds),
                          as_future);
}

asio::awaitable<Object> both_with_operator(Object a, Object b) {
    using namespace asio::experimental::awaitable_operators;
    auto [first, second] = co_await (asioloop::await(std::move(a)) && asioloop::await(std::move(b)));
    co_return first;
}

Object both(Object a, Object b) {
    return asio::co_spawn(Executor::of_running_loop(), both_with_operator(std::move(a), std::move(b)),
                          as_future);
}

asio::awaitable<std::string> what_is_caught(Object awaitable) {
    try {
        co_await asioloop::await(std::move(awaitable));
        co_return "nothing";
    } catch (const asioloop::PythonException& e) {
        co_return std::string("python ") + e.what();
    } catch (const std::system_error& e) {
        co_return e.code() == asio::error::operation_aborted ? "aborted" : "another code";
    }
}

Object caught(Object awaitable) {
    return asio::co_spawn(Executor::of_running_loop(), what_is_caught(std::move(awaitable)), as_future);
}

asio::awaitable<long> sum_to(long n) {
    long sum = 0;
    for (long i = 1; i <= n; ++i) sum += i;
    co_return sum;
}

// Its threads are joined with the object: before the interpreter ends, as the bridge demands.
class Pool {
  public:
    // Computes on another thread; the Future is of this loop all the same.
    Object sum(long n) { return asio::co_spawn(pool_, sum_to(n), as_future); }
    // There is no loop where this coroutine runs, and no GIL.
    Object await_elsewhere(Object awaitable) {
        return asio::co_spawn(pool_, through(std::move(awaitable)), as_future);
    }
    // Never gets its turn: stop() comes first.
    Object blocked(long n) {
        gate_.emplace();
        asio::post(pool_, [open = gate_->get_future().share()] { open.wait(); });
        return sum(n);
    }
    void drop_blocked() ASIOSERVE_REQUIRES(asioserve::py::gil) {
        pool_.stop();
        gate_->set_value();
        join();
    }
    void let_blocked_go() { gate_->set_value(); }
    void join() ASIOSERVE_REQUIRES(asioserve::py::gil) {
        const asioserve::py::GilRelease released;
        pool_.join();
    }
    ~Pool() {
        asioserve::py::gil.assert_held();
        join();
    }

  private:
    std::optional<std::promise<void>> gate_;
    asio::thread_pool pool_{1};
};

asio::awaitable<void> calls_before_and_after(Object function) {
    called(function);
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(1));
    co_await timer.async_wait(asio::use_awaitable);
    called(function);
}

// What a C++ coroutine sees of Python before and after it waits.
Object call_around_a_wait(Object function) {
    return asio::co_spawn(Executor::of_running_loop(), calls_before_and_after(std::move(function)),
                          as_future);
}

asio::awaitable<Object> calls_and_awaits(Object function) {
    co_return co_await asioloop::await(Object(Ref::steal(called(function).release().ptr())));
}

// The awaitable is made in the C++ coroutine, and so in its context.
Object await_what_it_makes(Object function) {
    return asio::co_spawn(Executor::of_running_loop(), calls_and_awaits(std::move(function)), as_future);
}

asio::awaitable<std::string> is_stubborn() {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(1));
    co_await timer.async_wait(asio::use_awaitable);
    co_return "finished";
}

// Does not hear of a cancellation, and gives a result all the same.
Object stubborn() {
    return asio::co_spawn(Executor::of_running_loop(), is_stubborn(), as_future);
}

// Nobody is told how it ends.
void forget(Object awaitable) {
    asio::co_spawn(Executor::of_running_loop(), through(std::move(awaitable)), asio::detached);
}

// A handler of the bare io_context: the GIL is not promised there, so none of Python's objects are touched.
Object turn() {
    asio::io_context& io = asioloop::running_io_context();
    return asio::async_initiate<const asioloop::as_future_t&, void(bool)>(
        [&io](auto handler) {
            asio::post(io, [&io, handler = std::move(handler)]() mutable {
                const bool inside = io.get_executor().running_in_this_thread();
                const auto executor = handler.get_executor();
                asio::post(executor,
                           [handler = std::move(handler), inside]() mutable { std::move(handler)(inside); });
            });
        },
        as_future);
}

bool is_running_io_context(const pb::capsule& capsule) {
    return capsule.name() == std::string("_asioloop.io_context") &&
           capsule.get_pointer<asio::io_context>() == &asioloop::running_io_context();
}

/// A timer that Python may drop while it is waited for.
class Timer : public std::enable_shared_from_this<Timer> {
  public:
    Timer() : timer_(Executor::of_running_loop()) {}
    Object wait(int milliseconds) {
        timer_.expires_after(std::chrono::milliseconds(milliseconds));
        return timer_.async_wait(as_future(shared_from_this()));
    }
    // Asio's cancellation, not asyncio's.
    void cancel() { timer_.cancel(); }

  private:
    asio::steady_timer timer_;
};

// What an operation gives, as Python sees it.
Object gives(const std::string& kind) {
    const auto executor = Executor::of_running_loop();
    const auto with = [&executor]<class... T>(T... values) -> Object {
        return asio::async_initiate<const asioloop::as_future_t&, void(T...)>(
            [executor](auto handler, T... all) {
                asio::post(executor, [handler = std::move(handler), ... all = std::move(all)]() mutable {
                    std::move(handler)(std::move(all)...);
                });
            },
            as_future, std::move(values)...);
    };
    if (kind == "nothing") return with();
    if (kind == "int") return with(std::error_code(), -3);
    if (kind == "size") return with(std::size_t{5});
    if (kind == "bool") return with(true);
    if (kind == "float") return with(0.5);
    if (kind == "text") return with(std::string("gr\xC3\xBC\xC3\x9F"));
    if (kind == "no text") return with(std::string("\xFF"));
    if (kind == "tuple") return with(1, std::string("two"));
    if (kind == "nested") return with(std::tuple(1, std::tuple(2.0)));
    return with(Object());
}

// What the rules forbid: debug builds abort.
void count_without_the_gil(Object object) ASIOSERVE_REQUIRES(asioserve::py::gil) {
    const asioserve::py::GilRelease released;
    // The copy is what is forbidden. NOLINTNEXTLINE(performance-unnecessary-copy-initialization)
    [[maybe_unused]] const Object copy = object;
}
void executor_without_the_gil() ASIOSERVE_REQUIRES(asioserve::py::gil) {
    const asioserve::py::GilRelease released;
    [[maybe_unused]] const auto executor = Executor::of_running_loop();
}
// What they allow.
void destroy_on_another_thread(Object object) ASIOSERVE_REQUIRES(asioserve::py::gil) {
    const asioserve::py::GilRelease released;
    std::thread([taken = std::move(object)] {}).join();
}

bool checks() {
#ifdef NDEBUG
    return false;
#else
    return true;
#endif
}

}  // namespace

PYBIND11_MODULE(bridge_probe, m) {
    asioloop::translate_exceptions();
    m.def("post", &post);
    m.def("post_and_forget", &post_and_forget);
    m.def("throws", &raise);
    m.def("gives", &gives);
    m.def("pass_through", &pass);
    m.def("pass_directly", &pass_directly);
    m.def("race", &race);
    m.def("both", &both);
    m.def("caught", &caught);
    m.def("call_around_a_wait", &call_around_a_wait);
    m.def("await_what_it_makes", &await_what_it_makes);
    m.def("stubborn", &stubborn);
    m.def("turn", &turn);
    m.def("is_running_io_context", &is_running_io_context);
    m.def("forget", &forget);
    m.def("count_without_the_gil", &count_without_the_gil);
    m.def("executor_without_the_gil", &executor_without_the_gil);
    m.def("destroy_on_another_thread", &destroy_on_another_thread);
    m.attr("checks") = checks();
    pb::class_<Pool>(m, "Pool")
        .def(pb::init())
        .def("sum", &Pool::sum)
        .def("await_elsewhere", &Pool::await_elsewhere)
        .def("blocked", &Pool::blocked)
        .def("drop_blocked", &Pool::drop_blocked)
        .def("let_blocked_go", &Pool::let_blocked_go)
        .def("join", &Pool::join);
    pb::class_<Timer, std::shared_ptr<Timer>>(m, "Timer")
        .def(pb::init())
        .def("wait", &Timer::wait)
        .def("cancel", &Timer::cancel);
}
