#include "bench/load/closed_loop.hpp"

#include <sys/resource.h>

#include <system_error>

namespace asioserve::bench {
namespace {

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

void check(bool good, const char* what) {
    if (!good) {
        throw std::system_error(errno, std::generic_category(), what);
    }
}

LoadRun::LoadRun(std::chrono::duration<double> length)
    : cpu_before_(cpu_seconds()),
      begin_(Clock::now()),
      end_(begin_ + std::chrono::duration_cast<Clock::duration>(length)) {}

LoadFigures LoadRun::figures(std::uint64_t requests) const {
    return {.requests = requests,
            .seconds = std::chrono::duration<double>(Clock::now() - begin_).count(),
            .cpu_seconds = cpu_seconds() - cpu_before_};
}

}  // namespace asioserve::bench
