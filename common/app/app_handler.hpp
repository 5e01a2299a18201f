// The Handler over Python: finds the route, binds the arguments, calls the endpoint, encodes what it gives.
//
// Threads and GIL: route() runs on the I/O thread without the GIL and touches nothing of Python; start(),
// finish() and abort() hold it, on any thread. The routes are constant from load() on.
#pragma once

#include "common/python/gil.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/runner/error.hpp"
#include "common/runner/handler.hpp"
#include "common/runner/runner.hpp"

namespace asioserve {

class AppHandler final : public Handler {
  public:
    /// What is logged: an exception that a handler let out, and which request it was. GIL held, any thread.
    using OnError = std::function<void(const RunError&, const RequestHead&)>;
    /// SystemExit or KeyboardInterrupt came out of a handler; the instance. GIL held, any thread.
    using ExitBy = std::function<void(PyObject* exception)>;
    /// Content type and body of a page that is answered without Python. I/O thread.
    using NativePage = std::function<std::pair<std::string, std::string>()>;

    /// What the app does not say itself.
    struct Options {
        bool sync_pool =
            false;  ///< `def` handlers run in the loop's executor unless their route says otherwise
        /// Empty: nothing is logged.
        OnError on_error = {};
    };

    /// Without routes until load().
    explicit AppHandler(Options options);
    ~AppHandler() override;
    AppHandler(const AppHandler&) = delete;
    AppHandler& operator=(const AppHandler&) = delete;

    /// Compiles the app (an asioserve.App) into routes. Once, before serving. Throws std::runtime_error with
    /// a clear sentence; no Python exception stays set.
    void load(PyObject* app) ASIOSERVE_REQUIRES(py::gil);
    /// Lets go of the app, before the interpreter is finalised. No request may run any more.
    void unload() noexcept ASIOSERVE_REQUIRES(py::gil);
    /// What streams and cancellation need. Once, before serving.
    void attach(Runner& runner, ExitBy exit_by);
    /// Answers GET and HEAD of `path` natively, before any route of the app. Before serving.
    void add_native(std::string path, NativePage page);

    Routed route(Exchange& x) override;
    Step start(Exchange& x, AnswerSink answer) override;
    Step finish(Exchange& x, Outcome& outcome, AnswerSink answer) override;
    void abort(Exchange& x) noexcept override;

    class Core;

  private:
    std::unique_ptr<Core> core_;
};

}  // namespace asioserve

/// The built-in module `_asioserve` (types Request, BodyStream, Sink): give it to PyImport_AppendInittab
/// under that name before the interpreter is initialised.
extern "C" PyObject* PyInit__asioserve();
