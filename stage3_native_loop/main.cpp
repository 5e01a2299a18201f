#include "stage3_native_loop/runner.hpp"

#include "common/app/run_server.hpp"
#include "stage3_native_loop/native/core/module.hpp"

int main(int argc, char** argv) {
    PyImport_AppendInittab("_asioloop", &PyInit__asioloop);
    return asioserve::app::run_server(argc, argv, 3, [](asio::io_context& io, asioserve::Handler& handler) {
        return std::make_unique<stage::Runner>(io, handler);
    });
}
