#include "common/python/errors.hpp"

#include "common/app/signals.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <system_error>

namespace asioserve::app {

namespace {

using std::chrono::milliseconds;

constexpr std::array<int, 2> handled{SIGINT, SIGTERM};
/// Sent by the kernel when the deadline is over. A real-time signal, as an app may have its own use for
/// SIGALRM.
const int deadline_signal = SIGRTMIN + 7;
/// What stopping takes besides waiting: the drain's own timer has to come first.
constexpr milliseconds margin{2'000};

/// What a signal handler may look at: lock-free, and constant while `active` is set where it is not atomic.
struct State {
    std::atomic<bool> active{false};  ///< from the first instance to the process's end
    std::atomic<int> received{0};
    std::array<std::atomic<int>, 2> counts{};
    std::atomic<int> exit_code{1};
    bool supervised = false;
    std::atomic<int> pipe{-1};
    pid_t owner = 0;
    timer_t timer{};
    milliseconds drain_time{0};
    std::array<struct sigaction, 2> found{};  ///< what was there
    std::array<bool, 2> chain{};              ///< and whether it is the app's and to be called too
};
State state;

void say(const char* text) noexcept {
    [[maybe_unused]] const auto ignored = ::write(2, text, std::strlen(text));
}

void arm(milliseconds time) noexcept {
    itimerspec at{};
    at.it_value.tv_sec = static_cast<time_t>(time.count() / 1000);
    at.it_value.tv_nsec = static_cast<long>(time.count() % 1000) * 1'000'000;
    ::timer_settime(state.timer, 0, &at, nullptr);  // one of the calls that POSIX allows in a signal handler
}

std::size_t index_of(int signo) noexcept {
    return signo == SIGINT ? 0 : 1;
}

/// The wish to stop, from a signal handler or from Python's idea of one. Async-signal-safe.
void notify(int signo) noexcept {
    const int now = state.counts[index_of(signo)].fetch_add(1) + 1;
    int none = 0;
    const bool first = state.received.compare_exchange_strong(none, signo);
    if (!first && (now > 1 || !state.supervised)) {
        say("asioserve: second signal, ending at once\n");
        ::_exit(128 + signo);
    }
    if (!first) return;
    arm(state.drain_time + margin);
    const char byte = static_cast<char>(signo);
    [[maybe_unused]] const auto ignored = ::write(state.pipe.load(), &byte, 1);
}

void on_signal(int signo, siginfo_t* info, void* context) {
    const int saved = errno;
    if (!state.active.load()) {
        errno = saved;
        return;
    }
    if (::getpid() != state.owner) {
        // A child that the app has forked: the pipe is not its own. It ends as a process without a handler
        // would.
        struct sigaction usual {};
        usual.sa_handler = SIG_DFL;
        ::sigaction(signo, &usual, nullptr);
        ::raise(signo);
        errno = saved;
        return;
    }
    const std::size_t i = index_of(signo);
    if (state.chain[i]) {
        const struct sigaction& old = state.found[i];
        if (old.sa_flags & SA_SIGINFO)
            old.sa_sigaction(signo, info, context);
        else if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN)
            old.sa_handler(signo);
    }
    notify(signo);
    errno = saved;
}

void on_deadline(int, siginfo_t* info, void*) {
    if (!state.active.load() || ::getpid() != state.owner || info->si_code != SI_TIMER) return;
    say("asioserve: did not end within --timeout-graceful-shutdown, ending regardless\n");
    ::_exit(state.exit_code.load());
}

// What signal.getsignal() shows.
PyObject* python_handler(PyObject*, PyObject* arguments) {
    int signo = 0;
    PyObject* frame = nullptr;
    if (!PyArg_ParseTuple(arguments, "i|O", &signo, &frame)) return nullptr;
    if (state.active.load() && ::getpid() == state.owner && (signo == SIGINT || signo == SIGTERM))
        notify(signo);
    Py_RETURN_NONE;
}

// In a child of fork(): Python's own handlers again, where ours were.
PyObject* after_fork(PyObject*, PyObject*) {
    py::Ref signal = py::Ref::steal(PyImport_ImportModule("signal"));
    if (!signal) return nullptr;
    for (int signo : handled) {
        py::Ref found = py::Ref::steal(PyObject_CallMethod(signal.get(), "getsignal", "i", signo));
        if (!found) return nullptr;
        if (!PyCFunction_Check(found.get()) || PyCFunction_GET_FUNCTION(found.get()) != python_handler)
            continue;
        py::Ref usual = py::Ref::steal(
            PyObject_GetAttrString(signal.get(), signo == SIGINT ? "default_int_handler" : "SIG_DFL"));
        if (!usual) return nullptr;
        if (!py::Ref::steal(PyObject_CallMethod(signal.get(), "signal", "iO", signo, usual.get())))
            return nullptr;
    }
    Py_RETURN_NONE;
}

PyMethodDef python_handler_def{"drain", python_handler, METH_VARARGS,
                               "drain(signum, frame=None): the server's handler of SIGINT and SIGTERM."};
PyMethodDef after_fork_def{"after_fork", after_fork, METH_NOARGS, nullptr};

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

bool is_ours(const struct sigaction& action) noexcept {
    return (action.sa_flags & SA_SIGINFO) && action.sa_sigaction == on_signal;
}

/// Returns what was there.
struct sigaction take_over(int signo) {
    struct sigaction action {
    }, found{};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    if (::sigaction(signo, &action, &found) < 0) fail("sigaction");
    return found;
}

}  // namespace

Signals::Signals(asio::io_context& io, Options options) : pipe_(io) {
    if (state.pipe.load() >= 0) throw std::logic_error("signals are handled already");
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) fail("pipe");
    pipe_.assign(ends[0]);
    state.received = 0;
    for (auto& count : state.counts) count = 0;
    state.exit_code = 1;
    state.supervised = options.supervised;
    state.pipe = ends[1];
    state.owner = ::getpid();
    state.drain_time = options.drain_time;
    struct sigaction action {};
    action.sa_sigaction = on_deadline;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    if (::sigaction(deadline_signal, &action, nullptr) < 0) fail("sigaction");
    if (state.active.exchange(true)) {
        arm(milliseconds(0));
        return;
    }
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = deadline_signal;
    if (::timer_create(CLOCK_MONOTONIC, &event, &state.timer) < 0) fail("timer_create");
}

Signals::~Signals() {
    ::close(state.pipe.exchange(-1));
}

void Signals::watch(std::function<void(int signo)> first) {
    pipe_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [this, first = std::move(first)](const asio::error_code& error) {
                         char signo = 0;
                         if (!error && ::read(pipe_.native_handle(), &signo, 1) == 1) first(signo);
                     });
}

void Signals::install() {
    py::Ref signal = py::must(PyImport_ImportModule("signal"));
    py::Ref usual = py::must(PyObject_GetAttrString(signal.get(), "default_int_handler"));
    py::Ref ours = py::must(PyCFunction_New(&python_handler_def, nullptr));
    for (std::size_t i = 0; i < handled.size(); ++i) {
        py::Ref found = py::must(PyObject_CallMethod(signal.get(), "getsignal", "i", handled[i]));
        state.chain[i] = PyCallable_Check(found.get()) && found.get() != usual.get();
        // Enum members (SIG_DFL, SIG_IGN) cannot be called; None stands for a handler that C code has
        // installed.
        if (found.get() == Py_None) state.chain[i] = true;
        if (!state.chain[i])
            py::must(PyObject_CallMethod(signal.get(), "signal", "iO", handled[i], ours.get()));
        state.found[i] = take_over(handled[i]);
        if (is_ours(state.found[i])) state.chain[i] = false;  // an instance's before this one
    }
    py::Ref os = py::must(PyImport_ImportModule("os"));
    py::Ref hook = py::must(PyObject_GetAttrString(os.get(), "register_at_fork"));
    py::Ref child = py::must(PyCFunction_New(&after_fork_def, nullptr));
    py::Ref none = py::must(PyTuple_New(0));
    py::Ref names = py::must(Py_BuildValue("{sO}", "after_in_child", child.get()));
    py::must(PyObject_Call(hook.get(), none.get(), names.get()));
}

void Signals::outlive_python() {
    py::Ref signal = py::must(PyImport_ImportModule("signal"));
    sigset_t both, before;
    sigemptyset(&both);
    for (const int signo : handled) sigaddset(&both, signo);
    ::pthread_sigmask(SIG_BLOCK, &both, &before);
    for (std::size_t i = 0; i < handled.size(); ++i) {
        struct sigaction now {};
        ::sigaction(handled[i], nullptr, &now);
        if (!is_ours(now)) continue;  // the app's own since then
        state.chain[i] = false;
        // Python leaves a signal alone for which it has no handler.
        py::must(PyObject_CallMethod(signal.get(), "signal", "ii", handled[i], 0));
        take_over(handled[i]);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Signals::deadline(milliseconds time, int code) noexcept {
    state.exit_code = code;
    arm(std::max(time, milliseconds(1)));
}

void Signals::no_deadline() noexcept {
    arm(milliseconds(0));
}

int Signals::received() const noexcept {
    return state.received;
}

}  // namespace asioserve::app
