// The number of this build of the loop, of module and package alike: each refuses another one's other half.
#pragma once

namespace asioloop {

/// The version and a hash of the sources (build_id.cmake).
extern const char* const kBuildId;

}  // namespace asioloop
