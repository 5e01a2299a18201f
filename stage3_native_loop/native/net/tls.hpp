// What runs per record of a TLS connection. The rest of asyncio's SSLProtocol, which runs once per connection
// (handshake, shutdown, time-outs, errors), is asyncio's own: asioloop/_tls.py derives from both. The crypto
// is that of Python's ssl module: an SSLObject between two MemoryBIOs.
//
// Reading: Stream's recv() into the loop's buffer → `feed` copies it into the incoming BIO → `read` decrypts
// record by record into the buffer → one data_received() with all of it. Writing: `write` encrypts a record
// into the outgoing BIO; after some of them `drain` takes them out as one bytes object, which Stream sends.
// Inside data_received() it waits for the end of it: a head and a body go out together. What the transport
// below does not take stays unencrypted in a WriteQueue.
//
// Threads: the loop's, GIL held.
#pragma once

#include <cstddef>

#include "common/python/ref.hpp"
#include "stage3_native_loop/native/core/keeps_module.hpp"
#include "stage3_native_loop/native/net/native_protocol.hpp"
#include "stage3_native_loop/native/net/tls_frames.hpp"
#include "stage3_native_loop/native/net/write_queue.hpp"

namespace asioloop {

class LoopCore;
class Stream;
struct ModuleState;

/// SSLProtocol's own fields, by which its Python half and the native one know of each other.
struct TlsFields {
    /// No more data for the program's protocol; no more from it.
    /// @{
    char app_reading_paused, app_writing_paused;
    /// @}
    /// The same for the transport below: it is paused; it has enough.
    /// @{
    char reading_paused, writing_paused;
    /// @}
    /// SSLProtocolState, counted.
    int state;
    /// Since the connection closes.
    Py_ssize_t lost_writes;
};

class Tls final : public NativeProtocol {
  public:
    /// Part of the Python object `self`, which it does not own.
    Tls(const ModuleState& module, PyObject* self, TlsFields& fields) noexcept
        : module_(module), self_(self), fields_(fields) {}
    Tls(const Tls&) = delete;
    Tls& operator=(const Tls&) = delete;

    /// SSLProtocolState, in the order of a connection's life.
    enum class State { unwrapped, handshake, wrapped, flushing, shutdown };

    /// The functions of the SSLObject and of its MemoryBIOs, and the exceptions that only mean "not now".
    struct Functions {
        /// SSLObject's.
        /// @{
        asioserve::py::Ref read, write;
        /// @}
        /// The incoming MemoryBIO, and its write().
        /// @{
        asioserve::py::Ref incoming, feed;
        /// @}
        /// The outgoing MemoryBIO, and its read().
        /// @{
        asioserve::py::Ref outgoing, drain;
        /// @}
        /// A tuple of classes.
        asioserve::py::Ref again;
        /// `read` and `write` are C functions, which do not keep what they are given.
        bool native = false;
    };
    /// Once, before anything else. False with an exception set.
    bool bind(PyObject* loop, Functions functions);
    /// The transport below; null: it is lost.
    void attach(PyObject* transport);
    /// Who is told of what arrives.
    void set_protocol(PyObject* protocol, bool buffered);

    // --- false with an exception set
    // -------------------------------------------------------------------------
    bool received(char* data, std::size_t size) override;
    /// Something was put into the incoming BIO by somebody else.
    void unseen() noexcept { frames_.lost(); }
    /// Decrypts and hands over what is there; what goes wrong is the connection's end.
    bool read();
    /// The transport's write().
    bool write(PyObject* data);
    /// Adds to what is not encrypted yet.
    bool queue(PyObject* data);
    /// Encrypts and sends what waits, as far as the transport below takes it; once it closes, whether or not.
    bool send_queued();
    /// Sends what is encrypted, if the transport below takes any.
    bool flush();
    /// The transport below takes more.
    bool resume_writing();
    /// Tells the protocol to pause or to resume writing, if it is time.
    bool control_writing();
    /// Tells the transport below to pause or to resume reading, if it is time.
    bool control_reading();
    /// -1: with an exception set.
    Py_ssize_t write_buffer_size();
    /// Forgets what waits to be sent.
    void drop_queued() noexcept { queued_.clear(); }

    /// For tp_traverse.
    int traverse(visitproc visit, void* arg);
    /// For tp_clear.
    void clear();

    /// The water marks, in bytes.
    /// @{
    double write_high = 0, write_low = 0, read_high = 0, read_low = 0;
    /// @}

  private:
    enum class End { full, drained, eof, failed };
    struct Filled {
        std::size_t size;
        End end;
    };
    State at() const noexcept { return static_cast<State>(fields_.state); }
    bool may_read() const noexcept { return at() == State::wrapped || at() == State::flushing; }
    bool call(const char* method);
    bool fatal();

    // tls_read.cpp
    bool read_all();
    bool read_data(bool& more);
    bool read_into_buffer(bool& more);
    bool ended(End end, asioserve::py::Ref error, bool& more);
    Filled fill(char* to, std::size_t room);
    Py_ssize_t decrypt(char* to, std::size_t room);
    Py_ssize_t pending(PyObject* bio);

    // tls_write.cpp
    bool lost() const noexcept;
    bool lost_write();
    bool encrypt_all(const Py_buffer& view, std::size_t& done);
    bool encrypt_queued();
    Py_ssize_t encrypt(const void* data, std::size_t size);
    bool push();

    const ModuleState& module_;
    const KeepsModule keeps_module_{module_};
    PyObject* const self_;
    TlsFields& fields_;
    LoopCore* core_ = nullptr;  // inside loop_
    asioserve::py::Ref loop_, transport_, protocol_;
    Stream* stream_ = nullptr;  // inside transport_, if that is one of ours
    Functions ssl_;
    TlsFrames frames_;
    WriteQueue queued_;
    std::size_t gathered_ = 0;  // encrypted, and not sent yet
    int reading_ = 0;           // read() is on the stack
    bool buffered_ = false;     // the protocol is a BufferedProtocol
};

/// Makes the type TlsProtocol for the module. New reference, null with an exception set.
PyObject* make_tls_type(PyObject* module);

/// The native part of a protocol, or null where there is none.
NativeProtocol* native_protocol(const ModuleState& module, PyObject* protocol);

}  // namespace asioloop
