// Compiled for each stage, with the path of its runner's header.
#include "tests/contract/host.hpp"

#include STAGE_RUNNER_HEADER

namespace contract {

MakeRunner runner_under_test() {
    return [](asio::io_context& io, asioserve::Handler& handler) {
        return std::make_unique<stage::Runner>(io, handler);
    };
}

}  // namespace contract
