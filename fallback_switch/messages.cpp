#include "fallback_switch/messages.hpp"

#include <sys/wait.h>

#include <array>
#include <cstring>
#include <utility>

namespace asioserve::fallback {
namespace {

constexpr std::array<std::pair<std::string_view, Message>, 8> words{{
    {"importing", Message::importing},
    {"imported", Message::imported},
    {"proving", Message::proving},
    {"proved", Message::proved},
    {"failed startup", Message::failed_startup},
    {"ready", Message::ready},
    {"beat", Message::beat},
    {"leaving", Message::leaving},
}};

// Nothing that a server says is as long. An app that writes garbage into the pipe must not fill our memory.
constexpr std::size_t longest_line = 4096;

}  // namespace

void MessageReader::append(std::string_view bytes) {
    rest_ += bytes;
    if (rest_.size() > longest_line && rest_.find('\n') == std::string::npos) rest_.clear();
}

std::optional<Message> MessageReader::next() {
    for (auto end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
        const std::string line = rest_.substr(0, end);
        rest_.erase(0, end + 1);
        for (const auto& [word, message] : words)
            if (word == line) return message;
    }
    return std::nullopt;
}

std::string_view describe(Message message) noexcept {
    switch (message) {
        case Message::importing:
            return "says that it imports the app";
        case Message::imported:
            return "says that it has imported the app";
        case Message::proving:
            return "says that it proves itself";
        case Message::proved:
            return "says that it has proved itself";
        case Message::failed_startup:
            return "says that the app's startup failed";
        case Message::ready:
            return "says that it accepts connections";
        case Message::leaving:
            return "says that the app wants to end";
        case Message::beat:
            break;
    }
    return "says that it is alive";
}

std::string describe_exit(int wait_status) {
    if (WIFSIGNALED(wait_status)) {
        const int signal = WTERMSIG(wait_status);
        const char* name = ::sigdescr_np(signal);
        return "was killed by signal " + std::to_string(signal) +
               (name == nullptr ? std::string() : " (" + std::string(name) + ")");
    }
    return "exited with code " + std::to_string(WEXITSTATUS(wait_status));
}

int exit_code_of(int wait_status) {
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

}  // namespace asioserve::fallback
