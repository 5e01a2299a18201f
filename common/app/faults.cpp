#include "common/app/faults.hpp"

#include <unistd.h>

#include <cstdlib>

namespace asioserve::app {

Step FaultyHandler::start(Exchange& x, AnswerSink answer) {
    const std::uint64_t before = started_++;
    if (faults_.crash_after != 0 && before >= faults_.crash_after) std::abort();
    // With the GIL held, so that the loop's thread stands still in every stage, whoever runs this.
    if (faults_.hang_after != 0 && before >= faults_.hang_after)
        for (;;) ::pause();
    return inner_.start(x, answer);
}

}  // namespace asioserve::app
