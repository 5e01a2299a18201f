// One connection: asyncio's stream transport for TCP and Unix sockets, as far as it runs per packet. Its
// Python face is stream_type.cpp; what runs per connection or when something fails is in
// asioloop/_streams.py.
//
// Reading: an edge says that something is there → one entry in the loop's ready queue, in line with every
// other callback → one recv() into the loop's buffer and an exact bytes object, or straight into that where
// much comes → protocol.data_received(). A read that was shorter than there was room for has taken all;
// otherwise it is repeated, a few times, and then the entry is queued again: a busy connection leaves room.
// Writing: small pieces at the end of the turn (gathered.hpp), all others at once, as far as the kernel takes
// it; the rest waits in a WriteQueue for an edge.
// The socket: a number, closed when the connection is lost, unless the program has brought an object of its
// own; then that is closed. One is made for a program that asks (StreamTransport._make_socket).
//
// Threads: under the GIL, on the loop's thread or while nobody runs it; the destructor on any thread.
#pragma once

#include <memory>
#include <span>

#include "stage3_native_loop/native/core/keeps_module.hpp"
#include "stage3_native_loop/native/core/ready_queue.hpp"
#include "stage3_native_loop/native/net/native_protocol.hpp"
#include "stage3_native_loop/native/net/socket_name.hpp"
#include "stage3_native_loop/native/net/write_queue.hpp"
#include "stage3_native_loop/native/os/edge_watch.hpp"

namespace asioloop {

class LoopCore;
struct ModuleState;

class Stream final : public NativeCallback, public EdgeWatch::Listener {
  public:
    /// Part of the Python object `self`, which it does not own.
    Stream(const ModuleState& module, PyObject* self) noexcept : module_(module), self_(self) {}
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// What kind of socket it is: how much a short read says.
    enum class Kind { tcp, unix_domain, other };
    /// A connection that is there.
    struct Connection {
        int fd = -1;                 ///< connected, non-blocking
        Kind kind = Kind::other;     ///< of socket
        bool no_delay = false;       ///< small writes go out at once: TCP_NODELAY
        PyObject* sock = nullptr;    ///< which has `fd`; null: the stream has it
        SocketName* peer = nullptr;  ///< taken over; null: the kernel is asked
    };
    /// Once, before anything else: the server is told, and in the next turn, in this order, the protocol;
    /// then it is read, and who waits is told. `server` and `waiter` may be None. False with an exception
    /// set, and `fd` still the caller's.
    bool open(PyObject* loop, const Connection& connection, PyObject* protocol, PyObject* server,
              PyObject* waiter);
    /// The end: connection_lost(exc), the socket is closed, the server told. False with an exception set.
    bool lose(PyObject* exc);
    /// Closes the socket of one that was never lost. False with an exception set.
    bool close_socket();
    /// Tells its server that it has gone. False with an exception set.
    bool leave_server();

    // --- the transport's methods: null or false with an exception set
    // -----------------------------------------
    /// Sends, at the end of the turn or at once, or keeps what cannot be sent yet.
    bool write(PyObject* data);
    /// Sends several, by one system call.
    bool write_lines(PyObject* list);
    /// Shuts the sending side down once all is sent.
    bool write_eof();
    /// No more reads; connection_lost() once all is sent.
    bool close();
    /// connection_lost(exc) in the next turn; what is not sent is lost.
    bool force_close(PyObject* exc);
    /// Stops reading, until resume_reading().
    bool pause_reading();
    /// See pause_reading().
    bool resume_reading();
    /// Reads from now on, unless it is paused or closing.
    bool start_reading();
    /// The protocol that is told from now on.
    bool set_protocol(PyObject* protocol);
    /// The water marks, as the program has given them.
    bool set_limits(PyObject* high, PyObject* low);
    /// A future that is done once all is sent, and during which nobody may write; None takes it away.
    bool set_empty_waiter(PyObject* waiter);

    /// From the ready queue: the read or the write that is due.
    bool run(bool write) override;
    /// Sends what it has kept back for the end of the turn. False with an exception set.
    bool flush();
    /// Forgets that: somebody else sends it.
    void forget_gathered() noexcept;

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
    bool lost() const noexcept { return lost_writes_ > 0; }
    bool reading() const noexcept { return reading_; }
    bool is_reading() const noexcept { return !closing_ && !paused_; }
    bool protocol_connected() const noexcept { return protocol_connected_; }
    bool protocol_paused() const noexcept { return protocol_paused_; }
    std::size_t write_buffer_size() const noexcept { return out_.size(); }
    bool waits_for_room() const noexcept { return !out_.empty() && !gathered_; }
    PyObject* loop() const noexcept { return loop_.get(); }
    PyObject* sock() const noexcept { return sock_.get(); }
    bool is_open() const noexcept { return open_; }
    const SocketName& name() const noexcept { return name_; }
    const SocketName& peer_name() const noexcept { return peer_name_; }
    PyObject* protocol() const noexcept { return protocol_.get(); }
    PyObject* empty_waiter() const noexcept { return empty_waiter_.get(); }
    PyObject* high_water() const noexcept { return high_object_.get(); }
    PyObject* low_water() const noexcept { return low_object_.get(); }
    /// @}
    /// The object that the socket is from now on; it has fd().
    void show_socket(asioserve::py::Ref sock) noexcept { sock_ = std::move(sock); }
    /// Whether somebody may watch the descriptor besides: while sendfile() does, and after the end.
    bool lends_descriptor() const noexcept { return closing_ || empty_waiter_; }
    /// asyncio.Server, or empty.
    asioserve::py::Ref server;

    /// Streams' own: how it watches this one, and the reference by which the loop keeps it alive.
    /// @{
    EdgeWatch watch;
    asioserve::py::Ref kept;
    /// @}

  private:
    /// What is due in the next turn, in a context of its own.
    struct Later final : NativeCallback {
        explicit Later(Stream& s) noexcept : stream(s) {}
        bool run(bool lost) override { return lost ? stream.run_losing() : stream.run_opening(); }
        Stream& stream;
        asioserve::py::Ref context;
        asioserve::py::Ref what;    // connection_made; or what connection_lost() is told
        asioserve::py::Ref waiter;  // for connection_made alone
    };

    // the rest of beginning and end: stream_life.cpp
    bool open_soon(PyObject* protocol, PyObject* waiter);
    bool lose_soon(PyObject* exc);
    bool run_opening();
    bool run_losing();
    bool call_made(Later& now);
    bool start_opened();
    bool tell_waiter(PyObject* waiter);
    bool call_soon(const char* method, PyObject* argument);

    // reading: stream_read.cpp
    bool on_readable();
    bool read_once();
    bool read_data();
    bool read_into_buffer();
    bool read_for_native();
    bool at_eof();
    bool read_failed();
    ssize_t receive(void* to, std::size_t room);
    void queue_read();

    // writing: stream_write.cpp
    bool on_writable();
    bool all_sent();
    bool write_failed();
    bool lost_write();
    bool may_write(const char* after_eof, const char* in_sendfile);
    bool send_pieces(std::span<Py_buffer> views, PyObject* const* owners);
    bool wait_writable();

    // what waits for the end of the turn: stream_gather.cpp
    bool may_gather() const noexcept;
    bool gather(std::span<Py_buffer> views, PyObject* const* owners);
    bool flush_failed();

    // flow control: stream_write.cpp
    bool maybe_pause_protocol();
    bool maybe_resume_protocol();
    bool flow_callback(const char* method, const char* message);

    // both: stream.cpp
    bool watched();
    void unwatch();
    void keep_if_needed();
    bool fatal(const char* message);
    bool log_debug(const char* what);

    const ModuleState& module_;
    PyObject* const self_;
    LoopCore* core_ = nullptr;  // inside loop_; null before open() and once the connection is lost
    asioserve::py::Ref loop_, sock_, protocol_, empty_waiter_;
    asioserve::py::Ref read_context_, write_context_;
    asioserve::py::Ref high_object_, low_object_;
    NativeProtocol* native_ = nullptr;  // inside protocol_, if it has one
    WriteQueue out_;
    double high_ = 64 * 1024, low_ = 16 * 1024;
    std::size_t last_burst_ = 0;  // how much data_received() was given last, in one go
    int fd_ = -1;                 // also once it is closed
    bool open_ = false;           // the socket is to be closed
    int lost_writes_ = 0;         // asyncio's _conn_lost: not 0 once connection_lost() is due
    Kind kind_ = Kind::other;
    bool buffered_ = false;  // the protocol is a BufferedProtocol
    bool protocol_connected_ = false;
    bool protocol_paused_ = false;
    bool closing_ = false;
    bool paused_ = false;
    bool reading_ = false;          // edges are read for
    bool maybe_readable_ = false;   // an edge came, and no read has yet found the end
    bool doubtful_ = false;         // a short read is not the end: a hang-up or urgent data
    bool filled_ = false;           // the last read filled all the room that it had
    bool hang_up_watched_ = false;  // see Streams
    bool eof_written_ = false;
    bool read_queued_ = false;
    bool write_queued_ = false;
    bool gathered_ = false;  // what is in out_ waits for the end of the turn, not for room

    // not for packets: last, so that the rest lies close together
    std::unique_ptr<Later> opening_, losing_;
    SocketName name_, peer_name_;
    const KeepsModule keeps_module_{module_};
};

/// An instance of `cls`, a subclass of StreamTransport, over a connection; see Stream::open(). It has `fd` if
/// that was done. Null with an exception set.
asioserve::py::Ref make_stream(PyObject* cls, PyObject* loop, const Stream::Connection& connection,
                               PyObject* protocol, PyObject* server, PyObject* waiter);

/// Makes the type StreamTransport for the module. New reference, null with an exception set.
PyObject* make_stream_type(PyObject* module);

/// The stream inside a transport, or null where it is none of ours.
Stream* stream_of(const ModuleState& module, PyObject* transport);

}  // namespace asioloop
