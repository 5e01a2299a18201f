// A descriptor that becomes readable when somebody wants the loop to look at what has come.
//
// Threads: wake() for any, clear() for the one that is woken. No GIL: that is why it is not
// call_soon_threadsafe, for which the I/O thread would wait for the GIL just to say that there is something
// to do.
#pragma once

#include <cerrno>
#include <cstdint>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

namespace stage {

class WakeFd {
  public:
    WakeFd() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
        if (fd_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
    }
    ~WakeFd() { ::close(fd_); }
    WakeFd(const WakeFd&) = delete;
    WakeFd& operator=(const WakeFd&) = delete;

    /// For the loop's reader. Owned by this.
    int get() const noexcept { return fd_; }
    /// One system call. Cannot fail before 2^64 - 2 wake-ups wait.
    void wake() noexcept {
        const std::uint64_t one = 1;
        [[maybe_unused]] auto written = ::write(fd_, &one, sizeof one);
    }
    /// One system call, for all wake-ups until now.
    void clear() noexcept {
        std::uint64_t wake_ups;
        [[maybe_unused]] auto size = ::read(fd_, &wake_ups, sizeof wake_ups);
    }

  private:
    int fd_;
};

}  // namespace stage
