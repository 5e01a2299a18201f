// Stage 3's server with C++ of one's own beside the Python handlers: the same thread, the same loop.
//
//     cpp_server examples/cpp/app.py:app
#include "stage3_native_loop/runner.hpp"

#include "common/app/run_server.hpp"
#include "stage3_native_loop/native/core/module.hpp"

extern "C" PyObject* PyInit_cpp_awaitables();

// [guide-server]
int main(int argc, char** argv) {
    PyImport_AppendInittab("_asioloop", &PyInit__asioloop);
    PyImport_AppendInittab("cpp_awaitables", &PyInit_cpp_awaitables);
    return asioserve::app::run_server(argc, argv, 3, [](asio::io_context& io, asioserve::Handler& handler) {
        return std::make_unique<stage::Runner>(io, handler);
    });
}
// [guide-server]
