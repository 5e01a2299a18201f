#include "bench/loop/client/echo_load.hpp"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace asioserve::bench {
namespace {

// No answer at all for this long: the server hangs, and so would the bench.
constexpr int kStalledMs = 10'000;

void check(bool good, const char* what) {
    if (!good) {
        throw std::system_error(errno, std::generic_category(), what);
    }
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

std::string pattern(std::size_t size) {
    std::string message(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        message[i] = static_cast<char>(static_cast<unsigned char>(i * 31));
    }
    return message;
}

EchoLoad::EchoLoad(const Target& target, std::size_t connections, MessageShape shape)
    : epoll_(epoll_create1(EPOLL_CLOEXEC)),
      shape_(shape),
      message_(pattern(std::max(shape.request, shape.answer))),
      connections_(connections),
      buffer_(std::size_t{256} * 1024) {
    check(epoll_ >= 0, "epoll_create1");
    for (Connection& connection : connections_) {
        connection.channel = connect_channel(target);
        epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
        check(epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.channel->descriptor(), &event) == 0, "epoll_ctl");
    }
}

EchoLoad::~EchoLoad() {
    close(epoll_);
}

void EchoLoad::send(Connection& connection) {
    while (connection.unsent != 0) {
        const std::string_view rest(message_.data() + connection.sent, shape_.request - connection.sent);
        const std::size_t sent = connection.channel->write(rest);
        if (sent == 0) {
            break;
        }
        connection.sent += sent;
        if (connection.sent == shape_.request) {
            connection.sent = 0;
            --connection.unsent;
        }
    }
    const bool waits = connection.unsent != 0;
    if (waits != connection.waits_to_write) {
        connection.waits_to_write = waits;
        epoll_event event{.events = EPOLLIN | (waits ? EPOLLOUT : 0U), .data = {.ptr = &connection}};
        check(epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.channel->descriptor(), &event) == 0, "epoll_ctl");
    }
}

std::size_t EchoLoad::take(Connection& connection, std::string_view bytes) {
    std::size_t answers = 0;
    while (!bytes.empty()) {
        if (answers == connection.awaited) {
            throw std::runtime_error("more came back than was asked for");
        }
        const std::size_t size = std::min(bytes.size(), shape_.answer - connection.received);
        if (std::memcmp(bytes.data(), message_.data() + connection.received, size) != 0) {
            throw std::runtime_error("an answer has wrong bytes");
        }
        bytes.remove_prefix(size);
        connection.received += size;
        if (connection.received == shape_.answer) {
            connection.received = 0;
            ++answers;
        }
    }
    return answers;
}

void EchoLoad::receive(Connection& connection, bool more) {
    std::size_t got = 0;
    do {
        got = connection.channel->read(buffer_);
        const std::size_t answers = take(connection, {buffer_.data(), got});
        answered_ += answers;
        connection.awaited -= answers;
        under_way_ -= answers;
        if (more && answers != 0) {
            connection.unsent += answers;
            connection.awaited += answers;
            under_way_ += answers;
            send(connection);
        }
    } while (got != 0 && connection.channel->may_hold_back());
}

LoadFigures EchoLoad::run(std::chrono::duration<double> length) {
    const std::uint64_t answered_before = answered_;
    const double cpu_before = cpu_seconds();
    const Clock::time_point begin = Clock::now();
    const auto end = begin + std::chrono::duration_cast<Clock::duration>(length);
    for (Connection& connection : connections_) {
        connection.unsent += shape_.depth;
        connection.awaited += shape_.depth;
        under_way_ += shape_.depth;
        send(connection);
    }
    std::array<epoll_event, 256> events{};
    while (under_way_ != 0) {
        const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), kStalledMs);
        if (count == 0) {
            throw std::runtime_error("no answer for 10 s");
        }
        check(count > 0 || errno == EINTR, "epoll_wait");
        const bool more = Clock::now() < end;
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            Connection& connection = *static_cast<Connection*>(event.data.ptr);
            if ((event.events & EPOLLOUT) != 0) {
                send(connection);
            }
            if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
                receive(connection, more);
            }
        }
    }
    return {.requests = answered_ - answered_before,
            .seconds = std::chrono::duration<double>(Clock::now() - begin).count(),
            .cpu_seconds = cpu_seconds() - cpu_before};
}

}  // namespace asioserve::bench
