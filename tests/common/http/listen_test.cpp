// Opening listening sockets.
#include "common/http/listen.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <system_error>
#include <netinet/in.h>

namespace asioserve::http {
namespace {

/// Closes what a test opened.
struct Fds {
    explicit Fds(std::vector<int> opened) : list(std::move(opened)) {}
    ~Fds() {
        for (const int fd : list) ::close(fd);
    }
    std::vector<int> list;
};

struct Folder {
    Folder() { EXPECT_NE(::mkdtemp(path), nullptr); }
    ~Folder() { ::rmdir(path); }
    char path[32] = "/tmp/asioserve_test_XXXXXX";
};

std::string error_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const std::system_error& e) {
        return e.what();
    }
    return "no error";
}

TEST(Listen, OpensAFreePort) {
    const Fds fds(open_tcp("127.0.0.1", 0, 16));
    ASSERT_EQ(fds.list.size(), 1U);
    const std::uint16_t port = port_of(fds.list[0]);
    EXPECT_NE(port, 0);
    EXPECT_EQ(describe(fds.list[0]), "http://127.0.0.1:" + std::to_string(port));
    EXPECT_NE(::fcntl(fds.list[0], F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(fds.list[0], F_GETFL) & O_NONBLOCK, 0);
}

TEST(Listen, OpensANameForAllItsAddressesOnOnePort) {
    const Fds fds(open_tcp("localhost", 0, 16));
    ASSERT_GE(fds.list.size(), 1U);
    for (const int fd : fds.list) EXPECT_EQ(port_of(fd), port_of(fds.list[0]));
}

TEST(Listen, OpensIpv6) {
    const Fds fds(open_tcp("::1", 0, 16));
    EXPECT_EQ(describe(fds.list.at(0)), "http://[::1]:" + std::to_string(port_of(fds.list.at(0))));
}

TEST(Listen, ServesBothFamiliesOnTheUnspecifiedAddress) {
    for (const char* host : {"::", ""}) {
        const Fds fds(open_tcp(host, 0, 16));
        ASSERT_EQ(fds.list.size(), 1U);
        int only_v6 = 1;
        socklen_t size = sizeof only_v6;
        ASSERT_EQ(::getsockopt(fds.list[0], IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, &size), 0);
        EXPECT_EQ(only_v6, 0);
    }
}

TEST(Listen, SaysWhatIsWrong) {
    const Fds fds(open_tcp("127.0.0.1", 0, 16));
    const std::uint16_t port = port_of(fds.list[0]);
    EXPECT_EQ(error_of([&] { open_tcp("127.0.0.1", port, 16); }),
              "cannot listen on 127.0.0.1:" + std::to_string(port) + ": Address already in use");
    EXPECT_TRUE(
        error_of([] { open_tcp("no.such.host.invalid", 1, 16); }).starts_with("cannot find the host"));
    EXPECT_TRUE(error_of([] { open_tcp("203.0.113.1", 0, 16); }).starts_with("cannot listen on 203.0.113.1"));
}

TEST(Listen, OpensAUnixSocketAndReplacesAStaleOne) {
    const Folder folder;
    const std::string path = std::string(folder.path) + "/s";
    {
        const Fds first({open_unix(path, 16, 0600)});
        EXPECT_EQ(describe(first.list[0]), "unix:" + path);
        struct stat s {};
        ASSERT_EQ(::stat(path.c_str(), &s), 0);
        EXPECT_EQ(s.st_mode & 0777, 0600U);
        EXPECT_EQ(error_of([&] { open_unix(path, 16); }),
                  "cannot listen on unix:" + path + ": Address already in use");
    }
    const Fds second({open_unix(path, 16)});  // its file is still there, but nobody listens
    remove_unix(path);
    remove_unix(path);
    EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(Listen, LeavesOtherFilesAlone) {
    const Folder folder;
    const std::string path = std::string(folder.path) + "/f";
    ::close(::open(path.c_str(), O_CREAT | O_WRONLY, 0600));
    EXPECT_TRUE(error_of([&] { open_unix(path, 16); }).find("not a socket") != std::string::npos);
    EXPECT_EQ(::access(path.c_str(), F_OK), 0);
    ::unlink(path.c_str());
    EXPECT_TRUE(error_of([&] { open_unix(std::string(200, 'x'), 16); }).find("too long") !=
                std::string::npos);
}

TEST(Listen, ChecksAnInheritedDescriptor) {
    const Fds good(open_tcp("127.0.0.1", 0, 16));
    keep_over_exec(good.list[0]);
    EXPECT_EQ(::fcntl(good.list[0], F_GETFD) & FD_CLOEXEC, 0);
    ::fcntl(good.list[0], F_SETFL, 0);
    check_inherited(good.list[0]);
    EXPECT_NE(::fcntl(good.list[0], F_GETFL) & O_NONBLOCK, 0);
    const Fds bad({::socket(AF_INET, SOCK_STREAM, 0), ::socket(AF_INET, SOCK_DGRAM, 0), ::dup(0)});
    EXPECT_TRUE(error_of([&] { check_inherited(bad.list[0]); }).find("does not listen") != std::string::npos);
    for (const int fd : {bad.list[1], bad.list[2], 9999})
        EXPECT_TRUE(error_of([&] { check_inherited(fd); }).starts_with("cannot use descriptor")) << fd;
}

}  // namespace
}  // namespace asioserve::http
