// getaddrinfo() for hosts in digits: answered on the spot, as nothing has to be looked up.
//
// What the C library says of a literal depends on family, type, protocol and flags alone, but for the address
// itself. So it is asked once for each combination, about an address that we know, and its answer is a form
// to fill in. Threads: under the GIL.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "stage3_native_loop/native/net/address.hpp"

namespace asioloop {

/// One per module.
class Literals {
  public:
    /// Adds the module's function and imports what it needs. False with an exception set.
    bool load(PyObject* module);
    /// What socket.getaddrinfo() would return, as a new reference; None: somebody else must ask. Null with an
    /// exception set.
    PyObject* find(PyObject* host, PyObject* port, PyObject* const* hints);

    /// For tp_traverse of who has it.
    int traverse(visitproc visit, void* arg) const;

  private:
    /// One entry of an answer.
    struct Form {
        asioserve::py::Ref family, type, proto, name;
    };
    const std::vector<Form>* forms_of(int literal, const std::array<int, 4>& hints);
    std::optional<std::vector<Form>> ask(int literal, const std::array<int, 4>& hints);

    asioserve::py::Ref socket_;    // the module
    asioserve::py::Ref original_;  // its getaddrinfo: with another in its place we answer nothing
    asioserve::py::Ref attribute_;
    std::unordered_map<std::uint64_t, std::vector<Form>> forms_;
};

}  // namespace asioloop
