// --env-file: variables for the app, from a file in the common .env format.
//
// Threads: load_env_file() changes the environment of the process: before there are any threads, and before
// Python makes its copy of it (os.environ).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asioserve::app {

/// The variables in `text`, in order. A line is `NAME=value` or `export NAME=value`; `#` starts a comment
/// (within a bare value only behind a blank). 'single quotes' are literal; "double quotes" know a
/// backslash before n, r, t, a backslash, a quote and a dollar; both may span lines. ${NAME} and
/// ${NAME:-default} are replaced except in single quotes: by what `look_up` says, else by a variable further
/// up in the file. Throws std::runtime_error "NAME_OF_FILE:LINE: why".
std::vector<std::pair<std::string, std::string>> parse_env(
    std::string_view text, const std::string& name_of_file,
    const std::function<std::optional<std::string>(const std::string&)>& look_up);

/// Sets the variables of a file; one that is set already stays as it is, as with uvicorn. Throws
/// std::runtime_error.
void load_env_file(const std::string& path);

}  // namespace asioserve::app
