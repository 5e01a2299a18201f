// What the bench's loads have in common: events are waited for until nothing is under way, on one thread,
// while the time and this process's CPU time are taken; and a conversation with the bench decides when.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <stdexcept>

namespace asioserve::bench {

/// What one run of a load saw.
struct LoadFigures {
    std::uint64_t requests = 0;  ///< answered in full; nothing is under way when a run ends
    double seconds = 0;
    double cpu_seconds = 0;  ///< of this process
};

/// Throws std::system_error of errno, with `what`, unless `good`.
void check(bool good, const char* what);

/// One run: from its making to figures().
class LoadRun {
  public:
    using Clock = std::chrono::steady_clock;

    /// It is to last for `length`; what is under way then is still waited for.
    explicit LoadRun(std::chrono::duration<double> length);

    /// Waits while `busy()`, and calls on_event(data.ptr, events, more) for each event of `epoll`; `more` is
    /// false once the length has passed. Throws when there is none for 10 s.
    template <class Busy, class OnEvent>
    void wait_while(Busy busy, int epoll, OnEvent on_event) {
        std::array<epoll_event, 256> events{};
        while (busy()) {
            const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), kStalledMs);
            if (count == 0) {
                throw std::runtime_error("no answer for 10 s");
            }
            check(count > 0 || errno == EINTR, "epoll_wait");
            const bool more = Clock::now() < end_;
            for (int i = 0; i < count; ++i) {
                const epoll_event& event = events[static_cast<std::size_t>(i)];
                on_event(event.data.ptr, event.events, more);
            }
        }
    }

    /// What it has come to, with so many requests answered.
    LoadFigures figures(std::uint64_t requests) const;

  private:
    // No answer at all for this long: the server hangs, and so would the bench.
    static constexpr int kStalledMs = 10'000;

    double cpu_before_;
    Clock::time_point begin_;
    Clock::time_point end_;
};

/// A load's program: connect() makes the load, which warms up; then "ready" is printed, and for each line
/// "SECONDS" on the input the load runs, and its figures are printed as one line of JSON. Returns main()'s
/// result.
template <class Connect>
int converse(const char* program, double warm_up, Connect connect) {
    try {
        auto load = connect();
        load.run(std::chrono::duration<double>(warm_up));
        std::cout << "ready" << std::endl;
        double seconds = 0;
        while (std::cin >> seconds) {
            const LoadFigures figures = load.run(std::chrono::duration<double>(seconds));
            std::cout << "{\"requests\": " << figures.requests << ", \"seconds\": " << figures.seconds
                      << ", \"cpu_seconds\": " << figures.cpu_seconds << "}" << std::endl;
        }
        return 0;
    } catch (const std::exception& error) {
        std::cerr << program << ": " << error.what() << '\n';
        return 1;
    }
}

}  // namespace asioserve::bench
