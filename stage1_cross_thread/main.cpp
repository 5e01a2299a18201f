#include "stage1_cross_thread/runner.hpp"

#include "common/app/run_server.hpp"

int main(int argc, char** argv) {
    return asioserve::app::run_server(argc, argv, 1, [](asio::io_context& io, asioserve::Handler& handler) {
        return std::make_unique<stage::Runner>(io, handler);
    });
}
