#include "stage3_native_loop/native/os/pollable.hpp"

#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace asioloop {

bool check_pollable(int fd) noexcept {
    struct stat st {};
    if (fstat(fd, &st) < 0) return false;
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
        errno = EPERM;
        return false;
    }
    // A terminal can be waited for, /dev/null cannot: only epoll knows.
    if (!S_ISCHR(st.st_mode)) return true;
    const int probe = epoll_create1(EPOLL_CLOEXEC);
    if (probe < 0) return false;
    epoll_event event{};
    const bool taken = epoll_ctl(probe, EPOLL_CTL_ADD, fd, &event) == 0;
    const int error = errno;
    ::close(probe);
    errno = error;
    return taken;
}

}  // namespace asioloop
