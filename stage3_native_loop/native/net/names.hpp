// Names of what a stream calls on protocols, futures and servers, made once.
#pragma once

#include "common/python/ref.hpp"

namespace asioloop {

/// One per module. Each is a str; GIL.
struct Names {
    /// Of protocols.
    /// @{
    asioserve::py::Ref connection_made, connection_lost, eof_received;
    /// @}
    /// Of futures.
    /// @{
    asioserve::py::Ref done, set_result;
    /// @}
    /// Of asyncio.Server.
    /// @{
    asioserve::py::Ref attach, detach;
    /// @}

    /// False with an exception set.
    bool load() {
        const auto make = [](asioserve::py::Ref& name, const char* text) {
            name = asioserve::py::Ref::steal(PyUnicode_InternFromString(text));
            return static_cast<bool>(name);
        };
        return make(connection_made, "connection_made") && make(connection_lost, "connection_lost") &&
               make(eof_received, "eof_received") && make(done, "done") && make(set_result, "set_result") &&
               make(attach, "_attach") && make(detach, "_detach");
    }
};

}  // namespace asioloop
