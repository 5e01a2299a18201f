#include "common/options/flags.hpp"

#include <algorithm>
#include <charconv>

#include "common/options/values.hpp"

namespace asioserve::options {
namespace {

using CLI::Option;
using std::chrono::milliseconds;

/// A flag with one value, turned into T by `parse`, which gives an optional. What it refuses is refused with
/// `what`.
template <typename T, typename Parse>
Option* value(CLI::App& app, const std::string& names, T& target, Parse parse, const std::string& what,
              const std::string& help) {
    const auto store = [&target, parse](const CLI::results_t& given) {
        const auto parsed = parse(given.back());
        if (parsed) target = static_cast<T>(*parsed);
        return parsed.has_value();
    };
    const auto check = [parse, what](const std::string& given) {
        return parse(given) ? std::string() : "'" + given + "' is not " + what;
    };
    Option* option = app.add_option(names, store, help);
    option->check(check, "")->take_last();
    return option;
}

Option* duration(CLI::App& app, const std::string& names, milliseconds& target, const std::string& help) {
    return value(app, names, target, parse_duration, "a duration such as 30s, 1h30m, 500ms or 5 (seconds)",
                 help)
        ->type_name("TIME")
        ->default_str(duration_text(target));
}

Option* size(CLI::App& app, const std::string& names, std::uint64_t& target, std::uint64_t least,
             const std::string& help) {
    const auto parse = [least](std::string_view text) -> std::optional<std::uint64_t> {
        const auto bytes = parse_size(text);
        return bytes && (*bytes >= least || *bytes == 0) && (least == 0 || *bytes != 0) ? bytes
                                                                                        : std::nullopt;
    };
    std::string what = "a size such as 64KiB, 100MiB or 65536";
    if (least != 0) what += ", at least " + size_text(least);
    return value(app, names, target, parse, what, help)->type_name("SIZE")->default_str(size_text(target));
}

template <typename T>
Option* number(CLI::App& app, const std::string& names, T& target, std::uint64_t from, std::uint64_t to,
               const std::string& help) {
    const auto parse = [from, to](std::string_view text) -> std::optional<std::uint64_t> {
        std::uint64_t n = 0;
        const char* end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, n);
        return error == std::errc{} && stop == end && n >= from && n <= to ? std::optional(n) : std::nullopt;
    };
    const std::string what = "a whole number from " + std::to_string(from) + " to " + std::to_string(to);
    return value(app, names, target, parse, what, help)->type_name("N");
}

Option* text(CLI::App& app, const std::string& names, std::string& target, const std::string& help) {
    return app.add_option(names, target, help)->take_last();
}

/// Text that must not be empty: an empty path would mean "none" and hide a mistake such as --uds "$UNSET".
Option* path(CLI::App& app, const std::string& names, std::string& target, const std::string& help) {
    const auto check = [](const std::string& given) { return given.empty() ? "is empty" : std::string(); };
    return text(app, names, target, help)->type_name("PATH")->check(check, "");
}

Option* url_path(CLI::App& app, const std::string& names, std::string& target, const std::string& help) {
    const auto check = [](const std::string& given) {
        const bool plain = std::all_of(given.begin(), given.end(), [](char c) {
            return c > ' ' && c < 0x7f && c != '?' && c != '#' && c != '%';
        });
        return !given.empty() && given[0] == '/' && plain ? std::string()
                                                          : "'" + given + "' is not a path such as /status";
    };
    return text(app, names, target, help)->type_name("PATH")->check(check, "");
}

Option* yes_no(CLI::App& app, const std::string& name, bool& target, const std::string& help) {
    return app.add_flag("--" + name + ",!--no-" + name, target, help)->take_last();
}

std::string check_header(const std::string& given) {
    const auto header = parse_header(given);
    if (!header) return "'" + given + "' is not a header as NAME:VALUE";
    for (const char* framing : {"content-length", "transfer-encoding", "connection"})
        if (CLI::detail::to_lower(header->first) == framing)
            return "'" + header->first + "' is set by the server";
    return {};
}

/// Several stages, each once, or none.
std::optional<std::vector<int>> parse_stages(std::string_view list) {
    std::vector<int> stages;
    if (list == "none") return stages;
    if (list.ends_with(',')) return std::nullopt;  // which split() would pass over
    for (const std::string& item : CLI::detail::split(std::string(list), ',')) {
        const std::string one = CLI::detail::trim_copy(item);
        if (one.size() != 1 || one[0] < '1' || one[0] > '3') return std::nullopt;
        if (std::find(stages.begin(), stages.end(), one[0] - '0') != stages.end()) return std::nullopt;
        stages.push_back(one[0] - '0');
    }
    return stages;
}

void declare_listening(CLI::App& app, Listening& at) {
    app.option_defaults()->group(listening_group);
    text(app, "--host", at.host, "name or address; :: is every address, IPv4 too")
        ->type_name("HOST")
        ->default_str(at.host)
        ->check([](const std::string& h) { return h.empty() ? "is empty" : std::string(); }, "");
    number(app, "--port", at.port, 0, 65535, "0: the system picks a free one")->default_str("8000");
    path(app, "--uds", at.uds, "a Unix socket, instead of host and port");
    app.add_option("--fd", at.fds, "an inherited listening socket, instead of host and port; repeatable")
        ->type_name("N")
        ->expected(1)
        ->allow_extra_args(false)
        ->take_all()
        ->check(CLI::Range(0, 1 << 20).description(""));
    number(app, "--backlog", at.backlog, 1, 1 << 20, "connections that may wait to be accepted")
        ->default_str("2048");
}

void declare_app(CLI::App& app, Options& o) {
    app.option_defaults()->group("The app");
    text(app, "--app-dir", o.app_dir, "first folder on sys.path [.]")->type_name("PATH");
    app.add_flag("--factory", o.factory, "APP names a function that returns the app")->take_last();
    path(app, "--env-file", o.env_file, "NAME=VALUE lines for the environment, read before the import");
    path(app, "--python", o.python, "virtual environment, or its python [the active one]");
    app.add_flag("--isolated", o.isolated, "as python3 -I: no PYTHON* variables, no user site")->take_last();
    yes_no(app, "gc-freeze", o.gc_freeze, "keep what startup made out of garbage collections [on]");
    value(
        app, "--sync", o.sync,
        [](std::string_view t) -> std::optional<Sync> {
            if (t == "inline") return Sync::in_line;
            return t == "pool" ? std::optional(Sync::pool) : std::nullopt;
        },
        "inline or pool", "where def handlers run; inline blocks the I/O thread")
        ->type_name("inline|pool")
        ->default_str("inline");
}

void declare_limits(CLI::App& app, Limits& l) {
    app.option_defaults()->group("Limits (0: none)");
    size(app, "--limit-head", l.head_bytes, 1024, "request line and headers, then 414 or 431");
    size(app, "--limit-body", l.body_bytes, 0, "request body, then 413");
    size(app, "--limit-send-buffer", l.send_buffer_bytes, 4096, "unsent answer, then its producer waits");
    number(app, "--limit-connections", l.connections, 0, 1'000'000,
           "at once; further ones wait to be accepted")
        ->default_str("0");
    number(app, "--limit-pipelined", l.pipelined, 1, 1000, "requests of one connection at once")
        ->default_str("32");
    duration(app, "--timeout-keep-alive", l.keep_alive, "idle between requests; 0 closes after each");
    duration(app, "--timeout-header", l.header_time, "for a request's whole head, then 408");
    duration(app, "--timeout-body", l.body_time, "for a request's whole body, then 408");
    duration(app, "--timeout-write", l.write_time, "without the peer taking a byte, then it is cut");
    duration(app, "--timeout-graceful-shutdown", l.drain_time, "for answers that have begun; 0: do not wait");
}

void declare_answers(CLI::App& app, Options& o) {
    app.option_defaults()->group("Answers");
    const auto store = [&o](const CLI::results_t& given) {
        for (const std::string& one : given) o.headers.push_back(parse_header(one).value());
        return true;
    };
    app.add_option("--header", store, "added to every answer; repeatable")
        ->type_name("NAME:VALUE")
        ->expected(1)
        ->allow_extra_args(false)
        ->take_all()
        ->check(check_header, "");
    yes_no(app, "server-header", o.server_header, "send Server [on]");
    yes_no(app, "date-header", o.date_header, "send Date [on]");
}

void declare_watching(CLI::App& app, Options& o) {
    app.option_defaults()->group("Logs and figures");
    text(app, "--log-level", o.log_level, "critical, error, warning, info, debug or trace")
        ->type_name("LEVEL")
        ->default_str(o.log_level)
        ->check(CLI::IsMember({"critical", "error", "warning", "info", "debug", "trace"}).description(""));
    yes_no(app, "access-log", o.access_log, "a line for each answer [on]");
    url_path(app, "--metrics-path", o.metrics_path, "answer with Prometheus metrics there");
    url_path(app, "--status-path", o.status_path, "answer with stage, pid and counts as JSON there");
}

void declare_supervision(CLI::App& app, Supervision& s) {
    app.option_defaults()->group(supervision_group);
    number(app, "--stage", s.stage, 1, 3, "which server to start")->default_str("3");
    value(app, "--fallback", s.fallback, parse_stages, "none or a list of other stages such as 2,1",
          "stages to try next, in this order")
        ->type_name("none|LIST")
        ->default_str("2,1");
    duration(app, "--proof-timeout", s.proof_time, "to prove itself on no app code; then the next stage");
    duration(app, "--beat-timeout", s.beat_time, "between two signs of life; then the next stage");
    number(app, "--max-crashes", s.max_crashes, 0, 1000, "exits that are borne within --crash-window")
        ->default_str("5");
    duration(app, "--crash-window", s.crash_window, "see --max-crashes");
    path(app, "--pid-file", s.pid_file, "written once it serves, removed at the end");
    path(app, "--control", s.control, "Unix socket for `asioserve switch` [PID-FILE.control]");
    app.option_defaults()->group(hidden_group);
    number(app, "--fault-stage", s.fault_stage, 0, 3, "");
}

void declare_hidden(CLI::App& app, Options& o, Program program) {
    app.option_defaults()->group(hidden_group);
    if (program == Program::stage) number(app, "--supervisor-fd", o.supervisor_fd, 0, 1 << 20, "");
    app.add_flag("--fault-proof", o.faults.proof);
    app.add_flag("--fault-proof-hang", o.faults.proof_hang);
    number(app, "--fault-crash-after", o.faults.crash_after, 0, 1'000'000'000, "");
    number(app, "--fault-hang-after", o.faults.hang_after, 0, 1'000'000'000, "");
}

}  // namespace

std::string variable_of(const CLI::Option& option) {
    std::string name = "ASIOSERVE_";
    for (const char c : option.get_single_name())
        name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
}

bool repeatable(const CLI::Option& option) {
    return option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
}

void declare_flags(CLI::App& app, Options& o, Program program) {
    text(app, "APP", o.app, "module:attr or file.py:attr")->required();
    declare_app(app, o);
    declare_listening(app, o.listening);
    declare_limits(app, o.limits);
    declare_answers(app, o);
    declare_watching(app, o);
    if (program == Program::asioserve) declare_supervision(app, o.supervision);
    declare_hidden(app, o, program);
    for (CLI::Option* option : app.get_options())
        if (option->get_group() != hidden_group && option->get_configurable())
            option->envname(variable_of(*option));
}

}  // namespace asioserve::options
