// The whole of a stage's main(): options, interpreter, app, handler, runner, server, run.
#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <memory>

#include "common/runner/runner.hpp"

namespace asioserve::app {

/// Makes the stage's runner. Called once, on the main thread, without the GIL, with the interpreter up.
using MakeRunner = std::function<std::unique_ptr<Runner>(asio::io_context& io, Handler& handler)>;

/// Returns the exit code of the program. `stage` is 1, 2 or 3: for --version, logs, status and metrics.
int run_server(int argc, char** argv, int stage, const MakeRunner& make_runner);

}  // namespace asioserve::app
