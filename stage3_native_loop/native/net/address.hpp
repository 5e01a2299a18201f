// Addresses of sockets, from Python and back, as module socket writes them: (host, port), (host, port,
// flowinfo, scope_id), a path, None.
//
// Only what needs no look-up is read here: a host in digits. Anything else is left to module socket, which
// then says what is wrong with it. Threads: under the GIL.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdint>
#include <vector>

#include "common/python/ref.hpp"

namespace asioloop {

/// An address as the kernel takes and gives it. What lies beyond `size` is not initialized.
struct Address {
    /// No address.
    Address() noexcept { any.sa_family = AF_UNSPEC; }

    /// Bytes that count; 0: there is none.
    socklen_t size = 0;
    /// By the family in `any`.
    union {
        sockaddr any;
        sockaddr_in v4;
        sockaddr_in6 v6;
        sockaddr_un local;
    };
    /// What the union has room for.
    static constexpr socklen_t capacity = sizeof(sockaddr_un);

    /// The same peer.
    bool operator==(const Address& other) const noexcept;
};

/// A host in digits, of `size` characters: false for anything else. `family` is AF_INET or AF_INET6.
bool parse_host(int family, const char* text, std::size_t size, Address& to) noexcept;
/// The host in digits, as inet_ntop() writes it. Null with an exception set.
asioserve::py::Ref host_text(const Address& address);

/// Reads what a program has given for a socket of this family. False, with no exception set: module socket
/// must judge it.
bool parse_address(int family, PyObject* object, Address& to);
/// The address as module socket shows it. Null with an exception set.
asioserve::py::Ref address_object(const Address& address);

/// Tuples for peers that come again and again, and the way back from such a tuple without reading it.
class AddressCache {
  public:
    /// As address_object(), perhaps one that was made before.
    asioserve::py::Ref object_of(const Address& address);
    /// As parse_address(), faster if the object came from here.
    bool parse(int family, PyObject* object, Address& to) const;

  private:
    struct Entry {
        asioserve::py::Ref object;
        Address address;
    };
    static constexpr std::size_t size = 256;

    std::vector<Entry> entries_;                  // empty until an address comes
    std::array<std::uint8_t, size> by_object_{};  // where the object may be found, by its own address
};

}  // namespace asioloop
