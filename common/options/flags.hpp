// Every flag, once: name, default, check, help. parse() and the config file look them up here.
//
// Threads: none.
#pragma once

#include <CLI/CLI.hpp>

#include "common/options/parse.hpp"

namespace asioserve::options {

/// Flags whose group is one of these concern the supervisor or the sockets that it owns.
inline constexpr const char* listening_group = "Where to listen";
/// Heading of the flags that only `asioserve` has.
inline constexpr const char* supervision_group = "The supervisor";
/// Flags of this group are not in --help. (CLI11's own way, an empty group, takes their names out of errors
/// too.)
inline constexpr const char* hidden_group = "Hidden";

/// Declares the program's flags on `app`; parsing writes into `options`, which must outlive it.
void declare_flags(CLI::App& app, Options& options, Program program);

/// The variable of a flag: ASIOSERVE_LOG_LEVEL for --log-level; APP has ASIOSERVE_APP.
std::string variable_of(const CLI::Option& option);

/// True for a flag that may be given more than once.
bool repeatable(const CLI::Option& option);

}  // namespace asioserve::options
