#include "bench/loop/client/echo_load.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

namespace asioserve::bench {
namespace {

using namespace std::chrono_literals;

/// A server of one connection: gives what came to `answer`, and sends what that returns, until the peer
/// closes.
class OneConnection {
  public:
    explicit OneConnection(std::function<std::string(std::string)> answer)
        : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(bind(listener_, generic, size), 0);
        EXPECT_EQ(listen(listener_, 1), 0);
        EXPECT_EQ(getsockname(listener_, generic, &size), 0);
        target_.port = ntohs(address.sin_port);
        thread_ = std::thread([this, answer = std::move(answer)] {
            const int peer = accept(listener_, nullptr, nullptr);
            std::string bytes(65536, '\0');
            for (ssize_t got = 0; (got = recv(peer, bytes.data(), bytes.size(), 0)) > 0;) {
                const std::string out = answer(bytes.substr(0, static_cast<std::size_t>(got)));
                if (send(peer, out.data(), out.size(), MSG_NOSIGNAL) < 0) {
                    break;
                }
            }
            close(peer);
        });
    }
    ~OneConnection() {
        thread_.join();
        close(listener_);
    }
    OneConnection(const OneConnection&) = delete;
    OneConnection& operator=(const OneConnection&) = delete;

    const Target& target() const noexcept { return target_; }

  private:
    int listener_;
    Target target_;
    std::thread thread_;
};

TEST(EchoLoad, CountsAnswersThatComeBackWhole) {
    OneConnection server([](std::string bytes) { return bytes; });
    EchoLoad load(server.target(), 1, {.request = 1000, .answer = 1000});
    EXPECT_GE(load.run(10ms).requests, 1U);
    EXPECT_EQ(load.run(0ms).requests, 1U);  // nothing was left over from the run before
}

TEST(EchoLoad, KeepsAsManyMessagesUnderWayAsItIsTold) {
    std::size_t total = 0;
    OneConnection server([&total](const std::string& bytes) {
        const std::size_t before = total / 1000;
        total += bytes.size();
        std::string answers;
        for (std::size_t i = before; i < total / 1000; ++i) {
            answers += pattern(10);
        }
        return answers;
    });
    EchoLoad load(server.target(), 1, {.request = 1000, .answer = 10, .depth = 5});
    EXPECT_EQ(load.run(0ms).requests, 5U);
}

TEST(EchoLoad, TellsWrongBytesFromAnEcho) {
    OneConnection server([](std::string bytes) {
        bytes.back() = static_cast<char>(bytes.back() + 1);
        return bytes;
    });
    EchoLoad load(server.target(), 1, {.request = 100, .answer = 100});
    EXPECT_THROW(load.run(10ms), std::runtime_error);
}

TEST(EchoLoad, RefusesMoreThanWasAskedFor) {
    OneConnection server([](const std::string& bytes) { return bytes + bytes; });
    EchoLoad load(server.target(), 1, {.request = 100, .answer = 100});
    EXPECT_THROW(load.run(0ms), std::runtime_error);
}

}  // namespace
}  // namespace asioserve::bench
