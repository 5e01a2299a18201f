#include "common/app/beat.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace asioserve::app {

SupervisorPipe::SupervisorPipe(asio::io_context& io, int fd) : pipe_(io) {
    if (fd < 0) return;
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags < 0) throw std::runtime_error("--supervisor-fd: " + std::to_string(fd) + " is not open");
    // Programs that the app starts must not hold the pipe open when this one is gone.
    ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    pipe_.assign(fd);
    pipe_.native_non_blocking(true);
}

void SupervisorPipe::say(std::string_view line) noexcept {
    if (!pipe_.is_open()) return;
    std::string text(line);
    text += '\n';
    // Lines are shorter than PIPE_BUF, so they arrive whole or not at all. Python has SIGPIPE ignored.
    [[maybe_unused]] const auto ignored = ::write(pipe_.native_handle(), text.data(), text.size());
}

void SupervisorPipe::watch(std::function<void()> gone) {
    if (!pipe_.is_open()) return;
    pipe_.async_wait(asio::posix::stream_descriptor::wait_error,
                     [gone = std::move(gone)](const asio::error_code& error) {
                         if (!error) gone();
                     });
}

}  // namespace asioserve::app
