#include "common/options/parse.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "common/options/config_file.hpp"
#include "common/options/flags.hpp"

namespace asioserve::options {
namespace {

constexpr const char* footer =
    "\nTIME is 30s, 1h30m, 500ms or plain seconds; SIZE is 64KiB, 100MiB or plain bytes. A flag FOO-BAR can "
    "also be\n"
    "set by the variable ASIOSERVE_FOO_BAR, or by FOO-BAR = … in the file of --config; the command line "
    "wins, then the\n"
    "environment. What comes after -- is the app's own sys.argv[1:].\n"
    "def handlers run in line and block the I/O thread meanwhile, unless you say --sync pool; async def does "
    "not.";

constexpr const char* switching =
    "\n\nWhile it serves:  asioserve switch --to N   another stage takes over, no request is lost\n"
    "                  asioserve status          which stage serves\n"
    "                  SIGHUP                    a fresh process of the same stage takes over";

/// --help as CLI11 writes it, less the variable's name and the inner workings of flags on each line.
class HelpText : public CLI::Formatter {
  public:
    HelpText() { column_width(40); }

    std::string make_usage(const CLI::App*, std::string name) const override {
        return "Usage: " + name + " APP [flags] [-- arguments of the app]\n";
    }

    std::string make_group(std::string group, bool positional,
                           std::vector<const CLI::Option*> flags) const override {
        return group == hidden_group ? std::string() : CLI::Formatter::make_group(group, positional, flags);
    }

    std::string make_option_name(const CLI::Option* option, bool positional) const override {
        std::string name = option->get_name(positional, !positional);
        for (const char* noise : {"{false}", "{true}"})
            if (const auto at = name.find(noise); at != std::string::npos) name.erase(at);
        return name;
    }

    std::string make_option_opts(const CLI::Option* option) const override {
        std::string text;
        if (option->get_type_size() != 0 && !option->get_positional()) text += " " + option->get_type_name();
        if (!option->get_default_str().empty()) text += " [" + option->get_default_str() + "]";
        return text;
    }
};

std::string base_name(const char* path) {
    const std::string whole = path == nullptr ? "" : path;
    return whole.substr(whole.rfind('/') + 1);
}

/// CLI11 puts some messages on several lines; ours are one.
std::string one_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

bool given_by_hand(const std::vector<std::string>& arguments, const std::string& flag) {
    return std::any_of(arguments.begin(), arguments.end(),
                       [&](const std::string& a) { return a == flag || a.rfind(flag + "=", 0) == 0; });
}

/// What went wrong; says so if the value is not on the command line, where one would look for it first.
std::string explain(const CLI::ParseError& error, const CLI::App& app,
                    const std::vector<std::string>& arguments) {
    const std::string text = one_line(error.what());
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
        const auto colon = text.find(": ");
        const std::string what = colon == std::string::npos ? text : text.substr(colon + 2);
        const auto words = CLI::detail::split(what, ' ');
        const auto flag =
            std::find_if(words.begin(), words.end(), [](const auto& w) { return w.rfind('-', 0) == 0; });
        // The word before an unknown flag's value is the mistake, not the value that is left over.
        return flag != words.end() ? "unknown flag " + *flag : "more than one APP: " + what;
    }
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::FileError)) return "--config: " + text;
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError))
        return "which app? APP is missing: give it as module:attr or file.py:attr";
    const auto begin = std::min(text.find("--"), text.size());
    const std::string flag = text.substr(begin, text.find_first_of(": ", begin) - begin);
    const CLI::Option* option = app.get_option_no_throw(flag);
    if (option == nullptr || option->get_envname().empty() || given_by_hand(arguments, flag)) return text;
    const char* variable = std::getenv(option->get_envname().c_str());
    if (variable != nullptr && *variable != '\0') return text + " (from " + option->get_envname() + ")";
    return text + " (from the config file)";
}

bool of_the_supervisor(const CLI::Option& option) {
    const std::string& group = option.get_group();
    return group == listening_group || group == supervision_group || !option.get_configurable() ||
           option.get_single_name() == "fault-stage" || option.get_single_name() == "APP";
}

/// Checks that need more than one flag; empty: fine.
std::string contradiction(const Options& o) {
    if (o.app.empty()) return "which app? APP is missing: give it as module:attr or file.py:attr";
    const Supervision& s = o.supervision;
    if (s.proof_time.count() == 0 || s.beat_time.count() == 0)
        return "--proof-timeout and --beat-timeout cannot be 0";
    return {};
}

/// The supervisor's own stage is no fallback for itself, and its control socket lies beside its pid file.
void complete(Supervision& s) {
    std::erase(s.fallback, s.stage);
    if (s.control.empty() && !s.pid_file.empty()) s.control = s.pid_file + ".control";
}

void declare(CLI::App& app, Options& options, Program program) {
    // Last wins, so that a script can append to what it was given.
    app.option_defaults()->take_last();
    declare_flags(app, options, program);
    app.config_formatter(std::make_shared<ConfigFile>(app));
    app.formatter(std::make_shared<HelpText>());
}

}  // namespace

int ParseResult::report() const {
    std::fputs(text.c_str(), exit_code == 0 ? stdout : stderr);
    return exit_code;
}

std::string_view version() noexcept {
    return ASIOSERVE_VERSION;
}

ParseResult parse(int argc, const char* const* argv, Program program, std::string_view version_text) {
    ParseResult result;
    const std::string name = argc > 0 ? base_name(argv[0]) : "asioserve";
    const std::string shown =
        version_text.empty() ? name + " " + std::string(version()) : std::string(version_text);

    std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
    const auto mark = std::find(arguments.begin(), arguments.end(), "--");
    if (mark != arguments.end()) result.options.app_arguments.assign(mark + 1, arguments.end());
    arguments.erase(mark, arguments.end());

    CLI::App app("Serves a Python app over HTTP.", name);
    declare(app, result.options, program);
    const char* file = std::getenv("ASIOSERVE_CONFIG");
    const bool file_set = file != nullptr && *file != '\0';
    app.set_config("--config", file_set ? file : "", "flags from a TOML or INI file", file_set)
        ->group("Other")
        ->type_name("FILE")
        ->required(file_set);
    app.get_help_ptr()->group("Other")->configurable(false);
    app.set_version_flag("--version", shown, "print the version and end")
        ->group("Other")
        ->configurable(false);
    app.footer(std::string(footer) + (program == Program::asioserve ? switching : ""));

    try {
        app.parse(
            std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 takes them last first
    } catch (const CLI::CallForHelp&) {
        result.text = app.help();
        return result;
    } catch (const CLI::CallForVersion&) {
        result.text = shown + "\n";
        return result;
    } catch (const CLI::ParseError& error) {
        result.text = name + ": " + explain(error, app, arguments) + " (--help lists the flags)\n";
        result.exit_code = 2;
        return result;
    }
    if (const std::string why = contradiction(result.options); !why.empty()) {
        result.text = name + ": " + why + " (--help lists the flags)\n";
        result.exit_code = 2;
        return result;
    }
    complete(result.options.supervision);
    for (const CLI::Option* option : app.get_options()) {
        if (of_the_supervisor(*option)) continue;
        for (const std::string& given : option->results())
            result.hand_on.push_back({option->get_single_name(), given});
    }
    result.run = true;
    return result;
}

std::vector<std::string> variables_of_the_supervisor() {
    Options unused;
    CLI::App app;
    declare(app, unused, Program::asioserve);
    std::vector<std::string> names{"ASIOSERVE_CONFIG"};
    for (const CLI::Option* option : std::as_const(app).get_options())
        if (!option->get_envname().empty() && of_the_supervisor(*option))
            names.push_back(option->get_envname());
    return names;
}

}  // namespace asioserve::options
