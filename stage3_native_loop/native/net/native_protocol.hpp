// What a stream hands its bytes to without a call into Python: a protocol that is partly native.
#pragma once

#include <cstddef>

namespace asioloop {

/// A part of the Python object that the transport's set_protocol() was given. Threads: the loop's, GIL held.
class NativeProtocol {
  public:
    /// Has arrived, and is there for the call only. The caller keeps the Python object alive. False with an
    /// exception set.
    virtual bool received(char* data, std::size_t size) = 0;

  protected:
    ~NativeProtocol() = default;
};

}  // namespace asioloop
