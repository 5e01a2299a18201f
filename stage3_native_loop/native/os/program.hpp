// Starting a program in one system call of ours: a child that borrows this process's memory until it is the
// program, that has none of our signal handlers from its first instruction on, and whose pidfd comes along.
// vfork() and posix_spawn() let the child look at the handler of each of 64 signals first; there, one call
// after the other is most of what it does before the program.
//
// Threads: any; the calling one waits until the child is the program, or has ended.
#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <vector>

namespace asioloop {

/// What is started, and how. The strings and arrays are the caller's, and end with a null.
struct Program {
    /// Tried in this order, as execvp() tries the folders of PATH.
    std::vector<const char*> files;
    /// Its arguments and its environment.
    /// @{
    std::vector<const char*> arguments;
    const char* const* environment = nullptr;
    /// @}
    /// Where it runs; null: where we are.
    const char* folder = nullptr;
    /// What become its descriptors 0, 1 and 2: none of these three themselves. -1: ours.
    std::array<int, 3> standard{-1, -1, -1};
    /// Whether it has no other descriptors of ours, not even those that are inherited.
    bool alone = true;
    /// Whether SIGPIPE and SIGXFSZ, which Python ignores, do again what they do by default.
    bool default_signals = true;
    /// Whether it leads a session of its own.
    bool own_session = false;
};

/// A child.
struct Started {
    pid_t pid;  ///< to be waited for
    int pidfd;  ///< the caller's
};

/// Nothing, and no child, if anything at all went wrong. Why is not told: who needs to know tries it by the
/// slow way. So it is with kernels before 5.9, and other processors than x86-64.
std::optional<Started> start(const Program& program) noexcept;

}  // namespace asioloop
