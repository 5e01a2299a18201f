#include "common/app/logging.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <stdexcept>

namespace asioserve::app {

namespace {

spdlog::level::level_enum native(Log::Level level) {
    switch (level) {
        case Log::Level::trace:
            return spdlog::level::trace;
        case Log::Level::debug:
            return spdlog::level::debug;
        case Log::Level::info:
            return spdlog::level::info;
        case Log::Level::warning:
            return spdlog::level::warn;
        case Log::Level::error:
            return spdlog::level::err;
        case Log::Level::critical:
            break;
    }
    return spdlog::level::critical;
}

spdlog::level::level_enum by_name(const std::string& name) {
    constexpr std::array<std::string_view, 6> names{"trace", "debug", "info", "warning", "error", "critical"};
    for (std::size_t i = 0; i < names.size(); ++i)
        if (name == names[i]) return native(static_cast<Log::Level>(i));
    throw std::invalid_argument("log level \"" + name +
                                "\" is none of critical, error, warning, info, debug, trace");
}

}  // namespace

// A logger of our own rather than spdlog's registry: nothing global, so that tests can have several.
Log::Log(const std::string& level)
    : logger_(std::make_unique<spdlog::logger>("asioserve",
                                               std::make_shared<spdlog::sinks::stderr_color_sink_mt>())) {
    logger_->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-8l%$ %v");
    logger_->set_level(by_name(level));
    logger_->flush_on(spdlog::level::trace);
}

Log::~Log() = default;

bool Log::shows(Level level) const noexcept {
    return logger_->should_log(native(level));
}

void Log::write(Level level, std::string_view text) const noexcept {
    logger_->log(native(level), spdlog::string_view_t(text.data(), text.size()));
}

std::string printable(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(text.size());
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
            out += c;
            continue;
        }
        out += "\\x";
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

}  // namespace asioserve::app
