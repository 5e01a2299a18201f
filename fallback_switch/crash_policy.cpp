#include "fallback_switch/crash_policy.hpp"

#include <algorithm>

namespace asioserve::fallback {

using std::chrono::milliseconds;

std::optional<milliseconds> CrashPolicy::record(Clock::time_point now) {
    while (!exits_.empty() && now - exits_.front() > window_) exits_.pop_front();
    exits_.push_back(now);
    if (count() > most_) return std::nullopt;
    // The first time at once: a lone crash should cost its peers as little as can be. Then 100, 200, 400 ms …
    if (count() == 1) return milliseconds(0);
    return std::min(milliseconds(100) * (1 << std::min(count() - 2, 10)), milliseconds(5'000));
}

}  // namespace asioserve::fallback
