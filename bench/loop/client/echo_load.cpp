#include "bench/loop/client/echo_load.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace asioserve::bench {

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
    LoadRun run(length);
    for (Connection& connection : connections_) {
        connection.unsent += shape_.depth;
        connection.awaited += shape_.depth;
        under_way_ += shape_.depth;
        send(connection);
    }
    run.wait_while([this] { return under_way_ != 0; }, epoll_,
                   [this](void* data, std::uint32_t what, bool more) {
                       Connection& connection = *static_cast<Connection*>(data);
                       if ((what & EPOLLOUT) != 0) {
                           send(connection);
                       }
                       if ((what & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
                           receive(connection, more);
                       }
                   });
    return run.figures(answered_ - answered_before);
}

}  // namespace asioserve::bench
