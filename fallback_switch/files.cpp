#include "fallback_switch/files.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <system_error>

namespace asioserve::fallback {

PidFile::PidFile(std::string path) : path_(std::move(path)) {
    if (path_.empty()) return;
    const auto slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
    if (::access(folder.c_str(), W_OK) != 0)
        throw std::system_error(errno, std::system_category(), "cannot write the pid file " + path_);
}

PidFile::~PidFile() {
    if (!written_) return;
    // A successor may have put its own there meanwhile.
    std::ifstream file(path_);
    pid_t owner = 0;
    if (file >> owner && owner == ::getpid()) ::unlink(path_.c_str());
}

void PidFile::write() {
    if (path_.empty() || written_) return;
    const std::string fresh = path_ + "." + std::to_string(::getpid());
    std::ofstream file(fresh);
    file << ::getpid() << '\n';
    file.close();
    if (!file || ::rename(fresh.c_str(), path_.c_str()) != 0) {
        const int error = errno;
        ::unlink(fresh.c_str());
        throw std::system_error(error, std::system_category(), "cannot write the pid file " + path_);
    }
    written_ = true;
}

}  // namespace asioserve::fallback
