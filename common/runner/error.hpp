// A Python exception ends at the seam as this value.
#pragma once

#include <string>

namespace asioserve {

/// What is left of an exception: text only, safe on any thread and without the GIL.
struct RunError {
    std::string type;       ///< e.g. "ValueError"
    std::string message;    ///< str() of it
    std::string traceback;  ///< as traceback.format_exception prints it; for the log, never for a client
};

}  // namespace asioserve
