// Datagrams that are still to be sent: to many peers by one system call (sendmmsg), and many of one size to
// one peer as one large datagram that the kernel cuts up (UDP_SEGMENT, "GSO"), where it can.
//
// A connected socket sends one by one instead of by sendmmsg(): what an earlier datagram has met is reported
// by a later send, and sendmmsg() would swallow the report. Threads: under the GIL.
#pragma once

#include <deque>

#include "stage3_native_loop/native/net/address.hpp"

namespace asioloop {

class DatagramQueue {
  public:
    /// One of them.
    struct Item {
        asioserve::py::Ref data;  ///< a bytes object
        asioserve::py::Ref name;  ///< set: only module socket can send there
        Address to;               ///< of size 0: to whom the socket is connected
    };
    /// Why send() has stopped.
    enum class Outcome {
        all_sent,
        refused,      ///< there is no room; an edge will tell
        failed,       ///< errno says why the first one cannot be sent
        not_numeric,  ///< the first one has a name
    };

    /// Whether all are sent.
    bool empty() const noexcept { return items_.empty(); }
    /// How many are left.
    std::size_t count() const noexcept { return items_.size(); }
    /// Their bytes.
    std::size_t bytes() const noexcept { return bytes_; }
    /// The next one. Not when empty.
    const Item& first() const noexcept { return items_.front(); }
    /// Adds one to the end.
    void add(Item item);
    /// Adds one that was taken out.
    void put_back(Item item);
    /// Takes the next one out. Not when empty.
    Item take();
    /// Sends what it can. `segments`: it is a UDP socket.
    Outcome send(int fd, bool segments);
    /// Forgets all.
    void clear() noexcept;

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);

  private:
    std::size_t group_size(std::size_t at, bool segments) const noexcept;
    long send_to_peers(int fd, bool segments);
    long send_group(int fd, std::size_t n);

    std::deque<Item> items_;
    std::size_t bytes_ = 0;
    std::size_t largest_segment_ = 0xffff;  // smaller once the kernel has refused to cut
};

/// send() or sendto() that never blocks and never raises SIGPIPE; again when a signal came.
ssize_t send_datagram(int fd, const void* data, std::size_t size, const Address& to) noexcept;

}  // namespace asioloop
