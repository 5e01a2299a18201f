// The file of --config: TOML or INI as CLI11 reads them, but a mistake in it is an error.
//
// Threads: none.
#pragma once

#include <CLI/CLI.hpp>

namespace asioserve::options {

/// CLI11's own reader drops a key that is there twice, takes the last of two values, and lets the environment
/// lose against the file. This one refuses the former two, and unknown keys with the key's name, and mends
/// the latter.
class ConfigFile : public CLI::ConfigTOML {
  public:
    /// `app` knows the flags; it must outlive this.
    explicit ConfigFile(const CLI::App& app) : app_(app) {}

    /// The items that are to be used.
    std::vector<CLI::ConfigItem> from_config(std::istream& input) const override;

  private:
    void check(const CLI::ConfigItem& item, const CLI::Option* option) const;

    const CLI::App& app_;
};

}  // namespace asioserve::options
