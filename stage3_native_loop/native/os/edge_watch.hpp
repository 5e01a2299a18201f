// Tells when a descriptor has become readable or writable, for no system call an event: registered once with
// Asio's reactor, edge-triggered, and never armed again.
//
// Asio's own async_wait() arms by epoll_ctl for each event, and its async_receive() tries a recv() first that
// finds nothing. So this stays in the reactor's queue as an operation that is never finished. It is the one
// file that uses asio::detail. Who listens must read until it has seen the end of what is there (a short read
// will do, but see net/streams.hpp): the next edge comes with what arrives after that.
//
// Threads: on the loop's thread, or while nobody runs it, with the GIL; mute() on any thread with the GIL.
// edge() comes with the GIL, which the loop takes for it.
#pragma once

namespace asioloop {

class LoopCore;

class EdgeWatch {
  public:
    /// What has happened to the descriptor. error: hang-up, error or urgent data, of which the read side is
    /// told too.
    enum class Edge { read, write, error };

    /// Who is told.
    class Listener {
      public:
        /// Inside the reactor: only to be noted there. May come when nothing is there.
        virtual void edge(Edge what) = 0;

      protected:
        ~Listener() = default;
    };

    /// Watches nothing.
    EdgeWatch() = default;
    /// Watches `fd` for reading and for errors; what is there already counts as an edge. Does not own it.
    /// Throws asio::system_error.
    EdgeWatch(LoopCore& loop, int fd, Listener& listener);
    ~EdgeWatch() { stop(false); }
    /// Takes over; the other one watches nothing.
    EdgeWatch(EdgeWatch&& other) noexcept;
    /// Exchanges the two.
    EdgeWatch& operator=(EdgeWatch&& other) noexcept;

    /// Whether it watches.
    explicit operator bool() const noexcept { return node_ != nullptr; }
    /// From now on for writing too; if it can be written to, that is an edge.
    void want_write();
    /// The listener goes: no edge() comes after this.
    void mute() noexcept;
    /// Watches nothing any more: no edge() comes after this. `closed`: the descriptor is closed already, and
    /// its number may be somebody else's. In a forked child the parent goes on watching.
    void stop(bool closed) noexcept;

  private:
    struct Node;
    Node* node_ = nullptr;
};

}  // namespace asioloop
