#include "fallback_switch/launch.hpp"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <system_error>

namespace asioserve::fallback {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

std::array<int, 2> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::system_category(), "pipe");
    return ends;
}

/// What the child does between fork and exec. Only calls that are safe there; all memory was made before the
/// fork.
struct Birth {
    const char* program;
    char* const* arguments;
    char* const* environment;
    const std::vector<int>* sockets;
    int pipe;
    int error_pipe;
    pid_t parent;

    [[noreturn]] void run() const {
        // A group of its own: a terminal's Ctrl-C must reach it once, through us, as its second one ends it
        // at once.
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(128 + SIGKILL);  // we died before the line above
        for (const int fd : *sockets) keep(fd);
        keep(pipe);
        struct sigaction usual {};
        usual.sa_handler = SIG_DFL;
        for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &usual, nullptr);
        sigset_t none;
        ::sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::execve(program, arguments, environment);
        const int error = errno;
        [[maybe_unused]] const auto written = ::write(error_pipe, &error, sizeof error);
        ::_exit(127);
    }

    static void keep(int fd) { ::fcntl(fd, F_SETFD, 0); }
};

}  // namespace

Launcher::Launcher(options::ParseResult parsed, std::vector<int> sockets)
    : parsed_(std::move(parsed)), sockets_(std::move(sockets)) {}

std::string Launcher::program_of(int stage) {
    const std::string name = "/stage" + std::to_string(stage) + "_server";
    if (const char* folder = std::getenv("ASIOSERVE_STAGE_DIR"); folder != nullptr && *folder != '\0')
        return folder + name;
    std::array<char, 4096> self{};
    const auto size = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
    const std::string path(self.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return path.substr(0, path.rfind('/')) + name;
}

std::vector<std::string> Launcher::arguments(int stage, int pipe) const {
    const options::Options& o = parsed_.options;
    std::vector<std::string> all{program_of(stage)};
    for (const auto& [name, value] : parsed_.hand_on) {
        const bool fault = name.rfind("fault-", 0) == 0;
        const int only = o.supervision.fault_stage;
        if (!fault || only == 0 || only == stage) all.push_back(fmt::format("--{}={}", name, value));
    }
    for (const int fd : sockets_) all.push_back("--fd=" + std::to_string(fd));
    all.push_back("--supervisor-fd=" + std::to_string(pipe));
    all.push_back(o.app);
    if (!o.app_arguments.empty()) all.emplace_back("--");
    all.insert(all.end(), o.app_arguments.begin(), o.app_arguments.end());
    return all;
}

std::vector<std::string> Launcher::environment() const {
    const auto ours = options::variables_of_the_supervisor();
    std::vector<std::string> all;
    for (char** one = environ; *one != nullptr; ++one) {
        const std::string text = *one;
        if (std::find(ours.begin(), ours.end(), text.substr(0, text.find('='))) == ours.end())
            all.push_back(text);
    }
    return all;
}

Launched Launcher::launch(int stage) const {
    const auto pipe = make_pipe();
    const auto errors = make_pipe();
    auto argument_texts = arguments(stage, pipe[1]);
    auto environment_texts = environment();
    const auto argument_list = pointers(argument_texts);
    const auto environment_list = pointers(environment_texts);
    const std::string program = argument_texts.front();
    const Birth birth{
        program.c_str(), argument_list.data(), environment_list.data(), &sockets_, pipe[1], errors[1],
        ::getpid()};

    const pid_t pid = ::fork();
    if (pid == 0) birth.run();
    int error = pid < 0 ? errno : 0;
    ::close(pipe[1]);
    ::close(errors[1]);
    if (pid > 0) {
        // Ends without a byte when exec has closed the other end: from then on the child is the program.
        while (::read(errors[0], &error, sizeof error) < 0 && errno == EINTR) {
        }
        if (error != 0) ::waitpid(pid, nullptr, 0);
    }
    ::close(errors[0]);
    if (error != 0) {
        ::close(pipe[0]);
        throw std::system_error(error, std::system_category(), "cannot start " + program);
    }
    ::fcntl(pipe[0], F_SETFL, O_NONBLOCK);
    return {pid, pipe[0]};
}

}  // namespace asioserve::fallback
