#include "common/app/sockets.hpp"

#include <unistd.h>

#include <filesystem>

#include "common/http/listen.hpp"

namespace asioserve::app {

Sockets::Sockets(const options::Listening& where) {
    if (!where.fds.empty()) {
        for (int fd : where.fds) http::check_inherited(fd);
        fds_ = where.fds;
    } else if (!where.uds.empty()) {
        fds_ = {http::open_unix(where.uds, where.backlog)};
        unix_path_ = absolute_folder(where.uds);  // the app may change the current folder
    } else {
        fds_ = http::open_tcp(where.host, where.port, where.backlog);
    }
    for (int fd : fds_) addresses_.push_back(http::describe(fd));
}

Sockets::~Sockets() {
    for (int fd : fds_) ::close(fd);
    if (!unix_path_.empty()) http::remove_unix(unix_path_);
}

void Sockets::give_to(http::Server& server) {
    while (!fds_.empty()) {
        server.listen(fds_.back());
        fds_.pop_back();
    }
}

std::string absolute_folder(const std::string& path) {
    std::error_code ignored;
    std::filesystem::path absolute =
        std::filesystem::absolute(path.empty() ? "." : path, ignored).lexically_normal();
    if (!absolute.has_filename() && absolute.has_parent_path()) absolute = absolute.parent_path();
    return absolute.string();
}

}  // namespace asioserve::app
