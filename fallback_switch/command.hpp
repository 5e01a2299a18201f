// `asioserve switch --to N` and `asioserve status`: clients of the control socket of a running `asioserve`.
//
// Threads: none.
#pragma once

#include <optional>

namespace asioserve::fallback {

/// Runs the command and returns its exit code; nothing if argv is no such command but a server's command
/// line.
std::optional<int> run_command(int argc, char** argv);

}  // namespace asioserve::fallback
