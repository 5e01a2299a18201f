// What the datagram transports of one loop share: room to receive several at once, the tuples of peers, and
// who keeps a transport alive that waits for something.
//
// Threads: under the GIL, on the loop's thread or while nobody runs it; abandon() on any thread.
#pragma once

#include <sys/socket.h>

#include <memory>
#include <span>
#include <unordered_set>
#include <vector>

#include "stage3_native_loop/native/net/address.hpp"
#include "stage3_native_loop/native/os/edge_watch.hpp"

namespace asioloop {

class Datagram;
class LoopCore;

class Datagrams {
  public:
    /// Which outlives it.
    explicit Datagrams(LoopCore& loop) : loop_(loop) {}
    Datagrams(const Datagrams&) = delete;
    Datagrams& operator=(const Datagrams&) = delete;

    /// The largest datagram over IP fits.
    static constexpr std::size_t small_size = 64 * 1024;
    /// Any that asyncio would take.
    static constexpr std::size_t large_size = 256 * 1024;
    /// Taken by one system call, and so by one socket in a turn.
    static constexpr std::size_t most = 16;

    /// What receive() has found, until the next one.
    struct Received {
        std::span<const char> data;  ///< in a buffer that the next receive() fills again
        const Address& from;         ///< the same
    };
    /// Receives up to capacity(size) datagrams of up to `size` bytes, which is small_size or large_size.
    /// Fewer: it has taken all. -1 with errno.
    int receive(int fd, std::size_t size);
    /// How many receive() takes at most.
    static constexpr int capacity(std::size_t size) noexcept {
        return static_cast<int>(size == small_size ? most : most * small_size / large_size);
    }
    /// One of what receive() has found.
    Received received(int i) const noexcept;
    /// Tuples of peers.
    AddressCache& addresses() noexcept { return addresses_; }

    /// Starts to watch a transport's descriptor. False with an exception set.
    bool add(Datagram& datagram);
    /// Takes it out: its watch has stopped.
    void remove(Datagram& datagram);
    /// While a transport waits for something, the loop keeps it alive, as a program need not.
    void keep(Datagram& datagram, bool on);
    /// A transport that nobody refers to goes, perhaps on another thread: then its watch is stopped when the
    /// loop's thread comes by. The descriptor is closed already.
    void abandon(Datagram& datagram);
    /// Forgets all, closes none.
    void close();

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);

  private:
    struct Slots;
    struct FreeSlots {
        void operator()(Slots* slots) const noexcept;
    };
    void stop_abandoned();

    LoopCore& loop_;
    std::unique_ptr<Slots, FreeSlots> slots_;
    AddressCache addresses_;
    std::unordered_set<Datagram*> watched_;
    std::vector<EdgeWatch> abandoned_;
};

}  // namespace asioloop
