// What the stream transports of one loop share: a buffer to receive into, the list of those that wait for
// something, and who has hung up.
//
// Why hang-ups need a place of their own: edges come with what arrives, and a read that is shorter than its
// buffer has taken all. A peer's FIN can have arrived together with the last bytes, and then no edge tells of
// it. So each connection is also in an epoll of ours that asks for hang-ups alone; Asio's reactor watches
// that epoll. It costs a system call per connection that has received something and one per batch of
// hang-ups, and saves one per message (the recv() that would find nothing).
//
// On a Unix socket a read also ends at a message that brought descriptors, and what lies behind it has had
// its edge. recvmsg() tells, for 150 to 200 ns more than recv(). Where several streams are read in a turn,
// recv() reads them, and before the next turn one poll() looks whether anything lies behind, for 50 ns each.
//
// Threads: under the GIL, on the loop's thread or while nobody runs it; abandon() on any thread.
#pragma once

#include <poll.h>

#include <memory>
#include <span>
#include <vector>

#include "stage3_native_loop/native/os/edge_watch.hpp"
#include "common/python/ref.hpp"

namespace asioloop {

class Acceptor;
class LoopCore;
class Stream;

class Streams final : EdgeWatch::Listener {
  public:
    /// Which outlives it.
    explicit Streams(LoopCore& loop) : loop_(loop) {}
    ~Streams();
    Streams(const Streams&) = delete;
    Streams& operator=(const Streams&) = delete;

    /// Size of buffer(): a small message's read costs no more in it than in a smaller one.
    static constexpr std::size_t buffer_size = 128 * 1024;
    /// To receive into; used by one stream at a time, never across a call into Python.
    std::span<char, buffer_size> buffer();

    /// A stream that has opened, so that its descriptor is found to be in use. May throw std::bad_alloc.
    void add(Stream& stream);
    /// Nothing refers to it any more.
    void remove(Stream& stream);
    /// The stream that has this descriptor; null: none of ours.
    Stream* find(int fd) const noexcept;
    /// One that has started, to be stopped with the loop. May throw std::bad_alloc.
    void add(Acceptor& acceptor) { acceptors_.push_back(&acceptor); }
    /// It has stopped.
    void remove(Acceptor& acceptor) noexcept { std::erase(acceptors_, &acceptor); }
    /// Starts to watch a stream's descriptor. False with an exception set.
    bool watch(Stream& stream);
    /// Its watch has stopped: it needs no keeping.
    void unwatch(Stream& stream) { keep(stream, false); }
    /// From now on the peer's end is told as an edge of its own. False: the kernel cannot.
    bool watch_hang_ups(int fd) noexcept;
    /// The last read of this stream, of a Unix socket, may have been cut short. False: no memory to note it.
    bool doubt(const Stream& stream) noexcept;
    /// Before each turn: reads again those that had more.
    void settle_doubts() {
        if (!doubts_.empty()) poll_doubts();
    }
    /// While a stream waits for something, the loop keeps it alive, as a program need not.
    void keep(Stream& stream, bool on);
    /// A transport that nobody refers to goes, perhaps on another thread: then its watch is stopped when the
    /// loop's thread comes by. The descriptor is closed already.
    void abandon(Stream& stream);
    /// Forgets all, closes none.
    void close();

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);

  private:
    void edge(EdgeWatch::Edge what) override;
    void stop_abandoned();
    void poll_doubts();

    LoopCore& loop_;
    std::unique_ptr<char[]> buffer_;
    std::vector<Stream*> by_fd_;
    std::vector<Acceptor*> acceptors_;
    std::vector<EdgeWatch> abandoned_;
    std::vector<pollfd> doubts_;
    int hang_ups_ = -1;  // an epoll
    EdgeWatch hang_ups_watch_;
};

}  // namespace asioloop
