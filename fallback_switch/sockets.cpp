#include "fallback_switch/sockets.hpp"

#include <unistd.h>

#include "common/http/listen.hpp"

namespace asioserve::fallback {

Sockets::Sockets(const options::Listening& at) {
    if (at.tcp()) descriptors_ = http::open_tcp(at.host, at.port, at.backlog);
    for (const int fd : at.fds) {
        http::check_inherited(fd);
        descriptors_.push_back(fd);
    }
    if (!at.uds.empty()) {
        descriptors_.push_back(http::open_unix(at.uds, at.backlog));
        unix_path_ = at.uds;
    }
}

void Sockets::close() {
    for (const int fd : descriptors_) ::close(fd);
    descriptors_.clear();
    if (!unix_path_.empty()) http::remove_unix(unix_path_);
    unix_path_.clear();
}

std::vector<std::string> Sockets::addresses() const {
    std::vector<std::string> all;
    for (const int fd : descriptors_) all.push_back(http::describe(fd));
    return all;
}

}  // namespace asioserve::fallback
