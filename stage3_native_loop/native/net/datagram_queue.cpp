#include "stage3_native_loop/native/net/datagram_queue.hpp"

#include <netinet/udp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace asioloop {

namespace {

constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
// The kernel's own bounds of a datagram that it cuts: segments, and what fits into IP.
constexpr std::size_t kMostSegments = 64, kMostBytes = 65000;
// Taken at once by sendmmsg().
constexpr std::size_t kBatch = 64;

std::size_t size_of(const DatagramQueue::Item& item) noexcept {
    return static_cast<std::size_t>(PyBytes_GET_SIZE(item.data.get()));
}

iovec buffer_of(const DatagramQueue::Item& item) noexcept {
    return {PyBytes_AS_STRING(item.data.get()), size_of(item)};
}

void address_to(msghdr& message, const DatagramQueue::Item& item) noexcept {
    if (item.to.size == 0) return;
    message.msg_name = const_cast<sockaddr*>(&item.to.any);
    message.msg_namelen = item.to.size;
}

bool cannot_cut(int error) noexcept {
    return error == EINVAL || error == EIO || error == EMSGSIZE || error == EOPNOTSUPP ||
           error == ENOPROTOOPT;
}

}  // namespace

ssize_t send_datagram(int fd, const void* data, std::size_t size, const Address& to) noexcept {
    ssize_t n = 0;
    do {
        n = ::sendto(fd, data, size, kFlags, to.size ? &to.any : nullptr, to.size);
    } while (n < 0 && errno == EINTR);
    return n;
}

void DatagramQueue::add(Item item) {
    bytes_ += size_of(item);
    items_.push_back(std::move(item));
}

void DatagramQueue::put_back(Item item) {
    bytes_ += size_of(item);
    items_.push_front(std::move(item));
}

DatagramQueue::Item DatagramQueue::take() {
    Item item = std::move(items_.front());
    items_.pop_front();
    bytes_ -= size_of(item);
    return item;
}

/// How many from `at` on can go as one: of one size, the last perhaps shorter, to one peer.
std::size_t DatagramQueue::group_size(std::size_t at, bool segments) const noexcept {
    const std::size_t size = size_of(items_[at]);
    if (!segments || size == 0 || size > largest_segment_ || items_[at].name) return 1;
    std::size_t n = 1, bytes = size;
    while (n < kMostSegments && at + n < items_.size()) {
        const Item& next = items_[at + n];
        const std::size_t more = size_of(next);
        if (more == 0 || more > size || bytes + more > kMostBytes || next.name || next.to != items_[at].to)
            break;
        bytes += more;
        ++n;
        if (more < size) break;
    }
    return n;
}

long DatagramQueue::send_group(int fd, std::size_t n) {
    const std::size_t segment = size_of(items_[0]);
    // A program that has the kernel cut for itself means something else by its datagrams.
    int own = 0;
    socklen_t own_size = sizeof own;
    if (::getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &own, &own_size) != 0 || own != 0) {
        largest_segment_ = 0;
        return 0;
    }
    std::array<iovec, kMostSegments> buffers;
    for (std::size_t i = 0; i < n; ++i) buffers[i] = buffer_of(items_[i]);
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control{};
    msghdr message{};
    address_to(message, items_[0]);
    message.msg_iov = buffers.data();
    message.msg_iovlen = n;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto value = static_cast<std::uint16_t>(segment);
    std::memcpy(CMSG_DATA(header), &value, sizeof value);
    if (::sendmsg(fd, &message, kFlags) >= 0) return static_cast<long>(n);
    if (!cannot_cut(errno)) return -1;
    // Larger than the way there allows, say: those go by themselves from now on.
    largest_segment_ = segment - 1;
    return 0;
}

long DatagramQueue::send_to_peers(int fd, bool segments) {
    std::array<mmsghdr, kBatch> messages;
    std::array<iovec, kBatch> buffers;
    const std::size_t most = std::min(items_.size(), kBatch);
    std::size_t n = 0;
    while (n < most && !items_[n].name && (n == 0 || group_size(n, segments) == 1)) {
        buffers[n] = buffer_of(items_[n]);
        messages[n] = {};
        address_to(messages[n].msg_hdr, items_[n]);
        messages[n].msg_hdr.msg_iov = &buffers[n];
        messages[n].msg_hdr.msg_iovlen = 1;
        ++n;
    }
    return ::sendmmsg(fd, messages.data(), static_cast<unsigned>(n), kFlags);
}

DatagramQueue::Outcome DatagramQueue::send(int fd, bool segments) {
    while (!items_.empty()) {
        const Item& head = items_.front();
        if (head.name) return Outcome::not_numeric;
        const std::size_t group = group_size(0, segments);
        long sent = 0;
        if (group > 1) {
            sent = send_group(fd, group);
        } else if (head.to.size == 0 || items_.size() == 1) {
            const iovec buffer = buffer_of(head);
            sent = send_datagram(fd, buffer.iov_base, buffer.iov_len, head.to) < 0 ? -1 : 1;
        } else {
            sent = send_to_peers(fd, segments);
        }
        if (sent < 0) {
            if (errno == EINTR) continue;
            return errno == EAGAIN || errno == EWOULDBLOCK ? Outcome::refused : Outcome::failed;
        }
        for (; sent > 0; --sent) take();
    }
    return Outcome::all_sent;
}

void DatagramQueue::clear() noexcept {
    items_.clear();
    bytes_ = 0;
}

int DatagramQueue::traverse(visitproc visit, void* arg) {
    for (const Item& item : items_) Py_VISIT(item.name.get());
    return 0;
}

}  // namespace asioloop
