// The body of one request as Python reads it: whole, or chunk by chunk with back-pressure.
//
// Threads: everything needs the GIL, on the loop's thread.
#pragma once

#include "common/python/ref.hpp"

#include <deque>
#include <string_view>
#include <vector>

#include "common/app/shared.hpp"
#include "common/runner/exchange.hpp"

namespace asioserve::app {

/// Who asks the exchange for a chunk.
class ChunkSource {
  public:
    /// One RequestBody::came() or broke() follows, perhaps at once.
    virtual void ask() ASIOSERVE_REQUIRES(py::gil) = 0;

  protected:
    ~ChunkSource() = default;
};

class RequestBody {
  public:
    /// `arrived`: the body is there as a whole (or there is none), nothing will be asked for.
    RequestBody(const Shared& shared, ChunkSource& source, bool arrived, std::string_view whole)
        : shared_(shared), source_(source), ended_(arrived), arrived_(whole) {}

    /// An awaitable of the whole body; null with an exception set.
    py::Ref read() ASIOSERVE_REQUIRES(py::gil);
    /// An awaitable of the next chunk, which raises StopAsyncIteration at the end.
    py::Ref next() ASIOSERVE_REQUIRES(py::gil);

    /// A chunk from the connection.
    void came(std::string_view chunk, bool last) ASIOSERVE_REQUIRES(py::gil);
    /// The body ends early: whoever reads hears why.
    void broke(Broken why) ASIOSERVE_REQUIRES(py::gil);

    /// For the garbage collector.
    int traverse(visitproc visit, void* arg) const;
    /// Lets go of Python objects, for tp_clear.
    void clear() noexcept ASIOSERVE_REQUIRES(py::gil);

  private:
    void ask() ASIOSERVE_REQUIRES(py::gil);
    bool collecting() ASIOSERVE_REQUIRES(py::gil);
    py::Ref error() const ASIOSERVE_REQUIRES(py::gil);
    py::Ref joined() ASIOSERVE_REQUIRES(py::gil);

    const Shared& shared_;
    ChunkSource& source_;
    bool ended_;
    bool asked_ = false;     // a chunk is on its way
    bool streamed_ = false;  // chunks went out by next(): the whole is not to be had any more
    bool broken_ = false;
    Broken why_ = Broken::peer_left;
    std::string_view arrived_;
    std::deque<py::Ref> chunks_;
    py::Ref whole_;
    py::Ref reader_;                // a future that next() gave
    std::vector<py::Ref> readers_;  // futures that read() gave
};

}  // namespace asioserve::app
