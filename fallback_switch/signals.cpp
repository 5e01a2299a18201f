#include "fallback_switch/signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

namespace asioserve::fallback {
namespace {

bool ignored(int signal) {
    struct sigaction current {};
    return ::sigaction(signal, nullptr, &current) == 0 && current.sa_handler == SIG_IGN;
}

int open_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2}) ::sigaddset(&set, signal);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    // SIGCHLD may come ignored from whoever started us; then exits would leave no status to wait for.
    ::signal(SIGCHLD, SIG_DFL);
    ::signal(SIGHUP, SIG_DFL);
    ::signal(SIGPIPE, SIG_IGN);
    const int fd = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) throw std::system_error(errno, std::system_category(), "signalfd");
    return fd;
}

}  // namespace

Signals::Signals(asio::io_context& io) : nohup_(ignored(SIGHUP)), descriptor_(io, open_signals()) {}

void Signals::start(std::function<void(int)> handler) {
    handler_ = std::move(handler);
    wait();
}

void Signals::stop() {
    descriptor_.close();
}

void Signals::wait() {
    descriptor_.async_wait(asio::posix::descriptor_base::wait_read, [this](const asio::error_code& error) {
        if (!error) drain();
    });
}

void Signals::drain() {
    signalfd_siginfo info{};
    while (descriptor_.is_open() && ::read(descriptor_.native_handle(), &info, sizeof info) == sizeof info) {
        const int number = static_cast<int>(info.ssi_signo);
        const bool hang_up = number == SIGHUP && info.ssi_code == SI_KERNEL;
        if (!hang_up) handler_(number);
        if (hang_up && !nohup_) handler_(SIGTERM);
    }
    if (descriptor_.is_open()) wait();
}

}  // namespace asioserve::fallback
