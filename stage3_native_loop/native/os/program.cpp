#include "stage3_native_loop/native/os/program.hpp"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace asioloop {

#if defined(__x86_64__) && defined(SYS_clone3) && defined(SYS_close_range) && defined(CLONE_CLEAR_SIGHAND)

// What runs in the child shares our memory: sanitizers would take what it does for ours.
#if defined(__clang__)
#define IN_CHILD __attribute__((disable_sanitizer_instrumentation, noinline))
#else
#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined"), noinline))
#endif

namespace {

/// As the kernel has it. All zero: what is done by default.
struct KernelAction {
    void* handler;
    unsigned long flags;
    void* restorer;
    std::uint64_t mask;
};

struct Shared {
    const Program& program;
    /// Constant before the child begins, so that it calls nothing but the kernel.
    /// @{
    const char* const* file;
    const char* const* end;
    const char* const* arguments;
    /// @}
    bool failed = false;
};

IN_CHILD bool prepare(const Program& program) {
    for (int i = 0; i < 3; ++i) {
        const int fd = program.standard.begin()[i];
        if (fd >= 0 && syscall(SYS_dup3, fd, i, 0) < 0) return false;
    }
    if (program.folder && syscall(SYS_chdir, program.folder) < 0) return false;
    if (program.default_signals) {
        const KernelAction by_default{};
        for (const int signal : {SIGPIPE, SIGXFSZ}) {
            if (syscall(SYS_rt_sigaction, signal, &by_default, nullptr, sizeof by_default.mask) < 0)
                return false;
        }
    }
    if (program.own_session && syscall(SYS_setsid) < 0) return false;
    return !program.alone || syscall(SYS_close_range, 3U, ~0U, 0U) == 0;
}

/// On a stack of its own. It has no way back.
[[noreturn]] IN_CHILD void become(Shared* shared) {
    const Program& program = shared->program;
    if (prepare(program)) {
        for (const char* const* file = shared->file; file != shared->end; ++file)
            syscall(SYS_execve, *file, shared->arguments, program.environment);
    }
    shared->failed = true;
    for (;;) syscall(SYS_exit_group, 127);
}

/// clone3(), after which the child is in `become`. By hand: no function may return into a frame that both
/// have.
long clone_into(void (*become)(Shared*), Shared* shared, clone_args& how) {
    long result = SYS_clone3;
    asm volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "mov %[shared], %%rdi\n\t"
        "call *%[become]\n\t"
        "ud2\n"
        "1:"
        : "+a"(result)
        : "D"(&how), "S"(sizeof how), [shared] "r"(shared), [become] "r"(become)
        : "rcx", "r11", "cc", "memory");
    return result;
}

}  // namespace

std::optional<Started> start(const Program& program) noexcept {
    const char* const* files = program.files.data();
    Shared shared{program, files, files + program.files.size(), program.arguments.data()};
    alignas(16) std::byte stack[4096];
    int pidfd = -1;
    clone_args how{};
    how.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
    how.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
    how.exit_signal = SIGCHLD;
    how.stack = reinterpret_cast<std::uintptr_t>(stack);
    how.stack_size = sizeof stack;
    const long pid = clone_into(&become, &shared, how);
    if (pid < 0) return std::nullopt;
    if (!shared.failed) return Started{static_cast<pid_t>(pid), pidfd};
    siginfo_t end;
    while (waitid(P_PIDFD, static_cast<id_t>(pidfd), &end, WEXITED) < 0 && errno == EINTR) {
    }
    ::close(pidfd);
    return std::nullopt;
}

#else

std::optional<Started> start(const Program&) noexcept {
    return std::nullopt;
}

#endif

}  // namespace asioloop
