// Whether epoll takes a descriptor. Asio takes all, and would call those ready for ever that epoll refuses.
#pragma once

namespace asioloop {

/// False with errno set, which is the one that epoll would give.
bool check_pollable(int fd) noexcept;

}  // namespace asioloop
