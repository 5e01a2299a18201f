// What the handler keeps with an exchange between its verbs: in the exchange's own room, free of allocation.
//
// Threads: route() writes it on the I/O thread; from Runner::start on it belongs to whoever runs the
// handler's verbs, with the GIL held.
#pragma once

#include "common/python/ref.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/app/plan.hpp"
#include "common/runner/handler.hpp"

namespace asioserve::app {

/// What route() found.
enum class Verdict : std::uint8_t { route, not_found, wrong_method, redirect, options };

/// What the computation that runs for an exchange is.
enum class Phase : std::uint8_t {
    endpoint,   ///< the endpoint, or the middleware around it
    exception,  ///< an exception handler of the app
    stream,     ///< a streamed answer
};

struct Note {
    Note() noexcept {}  // NOLINT(modernize-use-equals-default): = default would zero the captures

    const RoutePlan* route = nullptr;  ///< null where no route has the path
    PyObject* request = nullptr;       ///< owned: the asioserve.Request, once somebody wanted it
    PyObject* native = nullptr;        ///< owned: the _asioserve.Request in it
    PyObject* sink = nullptr;          ///< owned: where a streamed answer goes
    /// What the router said.
    Verdict verdict = Verdict::not_found;
    /// Whose outcome comes next.
    Phase phase = Phase::endpoint;
    BodyMode body = BodyMode::ignore;  ///< what the connection was told
    bool decoded = false;              ///< the path had %XX in it: the captures have to be taken anew
    union {                            // not zeroed: most routes have none
        /// What the parameters of the path are, unless `decoded` or the route has too many of them. As many
        /// as the route's pattern has.
        std::array<std::string_view, Plan::most_captures> captures;
    };

    /// Lets go of what it owns. Safe to call twice.
    void release() noexcept ASIOSERVE_REQUIRES(py::gil) {
        if (request == nullptr && sink == nullptr && native == nullptr) return;
        py::clear(sink);
        py::clear(request);
        py::clear(native);
    }
};

/// The captures of a route, also where the path is percent-encoded or has too many of them for a note.
class Captures {
  public:
    /// Matches again where the note could not hold them all.
    Captures(const Plan& plan, const Exchange& x, const Note& note);
    /// In the order of the template.
    std::span<const std::string_view> get() const noexcept { return views_; }

  private:
    std::string path_;
    std::vector<std::string_view> own_;
    std::span<const std::string_view> views_;
};

}  // namespace asioserve::app
