// A Handler over Python functions that a test gives as source; small enough to be right by reading.
//
// "/name" is answered by the function `name`, called with the query as its only argument if there is one. A
// string is the body of a 200, None a 204 without one, a coroutine is driven next (as a streamed body would
// be), an exception is a 500 with its type and message.
//
// Threads and GIL: as common/runner/handler.hpp; what the test calls takes the GIL itself.
#pragma once

#include "common/app/computation.hpp"

#include <atomic>
#include <functional>
#include <map>
#include <string>

#include "common/runner/handler.hpp"

namespace contract {

class SourceHandler final : public asioserve::Handler {
  public:
    /// Given SystemExit or KeyboardInterrupt out of a function; GIL held.
    using ExitBy = std::function<void(PyObject* exception)>;

    SourceHandler() = default;
    ~SourceHandler() override;

    /// Runs the source as a module. `native` is what it finds under the name `native`.
    void load(const std::string& source, PyObject* native, ExitBy exit_by)
        ASIOSERVE_REQUIRES(asioserve::py::gil);
    asioserve::Kind kind(const std::string& name) const { return kinds_.at(name); }
    /// The globals of the source.
    PyObject* globals() const noexcept { return globals_.get(); }
    int aborted() const noexcept { return aborted_.load(); }

    asioserve::Routed route(asioserve::Exchange& x) override;
    asioserve::Step start(asioserve::Exchange& x, asioserve::AnswerSink answer) override;
    asioserve::Step finish(asioserve::Exchange& x, asioserve::Outcome& outcome,
                           asioserve::AnswerSink answer) override;
    void abort(asioserve::Exchange& x) noexcept override;

  private:
    asioserve::Step settle(asioserve::Outcome& outcome, asioserve::AnswerSink answer)
        ASIOSERVE_REQUIRES(asioserve::py::gil);

    asioserve::py::Ref globals_;
    std::map<std::string, asioserve::Kind> kinds_;
    ExitBy exit_by_;
    std::atomic<int> aborted_{0};
};

}  // namespace contract
