// One datagram socket: asyncio's DatagramTransport, as far as it runs per datagram. Its Python face is
// datagram_type.cpp; what runs once or when something fails is in asioloop/_datagrams.py.
//
// Receiving: an edge says that something is there → one entry in the loop's ready queue → one recvmmsg() into
// the loop's buffers → protocol.datagram_received() for each. Fewer than were asked for: all are taken.
// Sending: at once, as long as the kernel takes it. While a batch is being received what is sent gathers, and
// goes out together after it; the same queue keeps what the kernel refuses.
//
// A family of addresses that we do not read (or a socket of a class of its own) is served by the socket's
// Python methods, one datagram a turn: Kind::other.
//
// Threads: under the GIL, on the loop's thread or while nobody runs it; the destructor on any thread.
#pragma once

#include <vector>

#include "stage3_native_loop/native/core/keeps_module.hpp"
#include "stage3_native_loop/native/core/ready_queue.hpp"
#include "stage3_native_loop/native/net/datagram_queue.hpp"
#include "stage3_native_loop/native/os/edge_watch.hpp"

namespace asioloop {

class LoopCore;
struct ModuleState;

class Datagram final : public NativeCallback, public EdgeWatch::Listener {
  public:
    /// Part of the Python object `self`, which it does not own.
    Datagram(const ModuleState& module, PyObject* self) noexcept : module_(module), self_(self) {}
    ~Datagram();
    Datagram(const Datagram&) = delete;
    Datagram& operator=(const Datagram&) = delete;

    /// What is sent to whom. `udp`: datagrams may be joined for the kernel to cut.
    enum class Kind { udp, ip, unix_domain, other };
    /// Once, before anything else. `address`: all that is sent goes there, by sendto() unless the socket is
    /// `connected`; None: to whom each sendto() says. False with an exception set.
    bool open(PyObject* loop, PyObject* sock, int fd, int family, Kind kind, PyObject* address,
              bool connected);
    /// Forgets all but what a closed transport tells. Returns the socket, for the caller to close.
    asioserve::py::Ref dispose();

    // --- the transport's methods: false with an exception set
    /// Sends one datagram, or keeps it until there is room. `address` may be None.
    bool send_to(PyObject* data, PyObject* address);
    /// No more reads; connection_lost() once all is sent.
    bool close();
    /// connection_lost(exc) in the next turn; what is not sent is lost.
    bool force_close(PyObject* exc);
    /// Stops receiving, until resume_reading().
    bool pause_reading();
    /// See pause_reading().
    bool resume_reading();
    /// Receives from now on, unless it is paused or closing.
    bool start_reading();
    /// The protocol that is told from now on.
    void set_protocol(PyObject* protocol);
    /// The water marks, as the program has given them.
    bool set_limits(PyObject* high, PyObject* low);

    /// Receives or sends what is due, as when an edge has told.
    bool ready(bool write);
    /// From the ready queue: ready(), in its own context.
    bool run(bool write) override;
    /// See EdgeWatch.
    void edge(EdgeWatch::Edge what) override;

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);
    /// For tp_clear.
    void clear();

    /// What the Python face shows.
    /// @{
    PyObject* self() const noexcept { return self_; }
    int fd() const noexcept { return fd_; }
    bool closing() const noexcept { return closing_; }
    bool reading() const noexcept { return reading_; }
    bool is_reading() const noexcept { return !closing_ && !paused_; }
    bool refused() const noexcept { return refused_; }
    bool protocol_connected() const noexcept { return protocol_connected_; }
    bool protocol_paused() const noexcept { return protocol_paused_; }
    std::size_t write_buffer_size() const noexcept;
    PyObject* loop() const noexcept { return loop_.get(); }
    PyObject* sock() const noexcept { return sock_.get(); }
    PyObject* protocol() const noexcept { return protocol_.get(); }
    PyObject* address() const noexcept { return address_.get(); }
    PyObject* high_water() const noexcept { return high_object_.get(); }
    PyObject* low_water() const noexcept { return low_object_.get(); }
    /// @}

    /// Datagrams' own: how it watches this one, and the reference by which the loop keeps it alive.
    /// @{
    EdgeWatch watch;
    asioserve::py::Ref kept;
    /// @}

  private:
    /// Received and not told of yet.
    struct Arrival {
        asioserve::py::Ref data, from;
    };

    // receiving: datagram_read.cpp
    bool on_readable();
    bool receive();
    bool receive_one(int i, Arrival& arrival);
    bool receive_by_python();
    bool deliver(Arrival arrival);
    bool deliver_all();
    void queue_read();

    // sending: datagram_write.cpp
    bool on_writable();
    bool send_now(PyObject* data, const Address& to);
    bool enqueue(PyObject* data, PyObject* name, const Address& to);
    bool send_by_python(PyObject* data, PyObject* name, const Address& to);
    bool call_socket(PyObject* data, PyObject* name);
    bool send_gathered();
    bool send_refused();
    bool lost_write();
    bool wait_writable();
    bool maybe_pause_protocol();
    bool maybe_resume_protocol();
    bool flow_callback(const char* method, const char* message);
    void queue_write();

    // both: datagram.cpp
    bool watched();
    void unwatch();
    void keep_if_needed();
    bool fatal(const char* message);
    bool error_received();
    bool log_debug(const char* what);
    bool call_later_in_turn(const char* method, PyObject* argument);

    const ModuleState& module_;
    const KeepsModule keeps_module_{module_};
    PyObject* const self_;
    LoopCore* core_ = nullptr;  // inside loop_; null before open() and once the transport is closed
    asioserve::py::Ref loop_, sock_, protocol_, address_;
    asioserve::py::Ref read_context_, write_context_;
    asioserve::py::Ref high_object_, low_object_;
    DatagramQueue out_;
    Address fixed_;                  // address_, where it is not the socket's own peer
    std::vector<Arrival> arrivals_;  // from next_arrival_ on
    std::size_t next_arrival_ = 0;
    double high_ = 64 * 1024, low_ = 16 * 1024;
    int fd_ = -1;
    int family_ = 0;
    int lost_writes_ = 0;  // asyncio's _conn_lost: not 0 once connection_lost() is due
    Kind kind_ = Kind::other;
    bool connected_ = false;
    bool protocol_connected_ = false;
    bool protocol_paused_ = false;
    bool closing_ = false;
    bool paused_ = false;
    bool reading_ = false;         // edges are read for
    bool maybe_readable_ = false;  // an edge came, and no read has yet found the end
    bool gathering_ = false;       // a batch is being delivered: what is sent waits for its end
    bool refused_ = false;         // the kernel has no room: out_ waits for an edge
    bool read_queued_ = false;
    bool write_queued_ = false;
};

/// Makes the type DatagramTransport for the module. New reference, null with an exception set.
PyObject* make_datagram_type(PyObject* module);

}  // namespace asioloop
