#include "common/options/config_file.hpp"

#include <cstdlib>
#include <set>

#include "common/options/flags.hpp"

namespace asioserve::options {
namespace {

[[noreturn]] void refuse(const std::string& why) {
    throw CLI::ConfigError("config file: " + why, CLI::ExitCodes::ConfigError);
}

bool set_in_environment(const CLI::Option& option) {
    const char* value = option.get_envname().empty() ? nullptr : std::getenv(option.get_envname().c_str());
    return value != nullptr && *value != '\0';
}

}  // namespace

void ConfigFile::check(const CLI::ConfigItem& item, const CLI::Option* option) const {
    if (!item.parents.empty()) refuse("there are no sections, but found [" + item.parents.front() + "]");
    if (option == nullptr || !option->get_configurable()) refuse("unknown key '" + item.name + "'");
    if (item.inputs.size() != 1 && !repeatable(*option))
        refuse("'" + item.name + "' takes one value, once; text with spaces or commas goes in quotes");
}

std::vector<CLI::ConfigItem> ConfigFile::from_config(std::istream& input) const {
    std::vector<CLI::ConfigItem> used;
    std::set<const CLI::Option*> seen;
    for (CLI::ConfigItem& item : CLI::ConfigTOML::from_config(input)) {
        const CLI::Option* option = app_.get_option_no_throw("--" + item.name);
        if (option == nullptr && item.name == "app") {
            item.name = "APP";
            option = app_.get_option_no_throw(item.name);
        }
        check(item, option);
        if (!seen.insert(option).second) refuse("'" + item.name + "' is there twice");
        if (!set_in_environment(*option)) used.push_back(std::move(item));
    }
    return used;
}

}  // namespace asioserve::options
