// Turns argv, ASIOSERVE_… variables and a config file into Options. In that order of precedence.
//
// Threads: call it before there are any: it reads the environment.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/options/options.hpp"

namespace asioserve::options {

/// Whose command line it is.
enum class Program {
    stage,      ///< a server, without the supervisor's flags
    asioserve,  ///< the supervisor: all of a stage's flags, and its own
};

/// Either options to run with, or a text to print and the code to exit with (--help, --version, a wrong
/// flag).
struct ParseResult {
    /// False: there is nothing to run; report() and end.
    bool run = false;
    /// What was said; counts if `run` is true.
    Options options;
    /// What a supervisor hands on to a server: every flag that was set, wherever it was set, except those
    /// about sockets, the config file and the supervisor itself.
    std::vector<Given> hand_on;
    /// For the program, if `run` is false.
    int exit_code = 0;
    /// For its output: help, version, or what is wrong.
    std::string text;

    /// Prints the text, to stdout if all is well, else to stderr; returns exit_code.
    int report() const;
};

/// `version` is what --version prints, such as "asioserve 0.1.0"; empty: the program's name and
/// version().
ParseResult parse(int argc, const char* const* argv, Program program, std::string_view version = {});

/// The version of the product, such as "0.1.0".
std::string_view version() noexcept;

/// ASIOSERVE_… variables of flags that a server must not see again because its supervisor has dealt with
/// them.
std::vector<std::string> variables_of_the_supervisor();

}  // namespace asioserve::options
