// main() of the contract tests that need Python: one interpreter for all tests of the process.
#include "common/python/interpreter.hpp"

#include <cstdlib>
#include <gmock/gmock.h>
#include <iostream>

#include "common/python/environment.hpp"

#ifdef CONTRACT_BUILTIN_MODULE
// A stage whose loop is a built-in module names it in its CMakeLists.txt: the function and what Python calls
// it.
extern "C" PyObject* CONTRACT_BUILTIN_INIT();
#endif

namespace {
using namespace asioserve;

// The tests take the GIL where they need it, as a runner's callers do.
int run_tests() ASIOSERVE_REQUIRES(py::gil) {
    py::GilRelease released;
    return RUN_ALL_TESTS();
}

int with_python() {
#ifdef CONTRACT_BUILTIN_MODULE
    PyImport_AppendInittab(CONTRACT_BUILTIN_MODULE, &CONTRACT_BUILTIN_INIT);
#endif
    py::InterpreterOptions options;
    options.argv = {"contract"};
    options.path_front = {py::package_folder()};
    py::Interpreter python(options);
    py::gil.assert_held();
    const int result = run_tests();
    return python.finalise() ? result : EXIT_FAILURE;
}
}  // namespace

int main(int argc, char** argv) {
    testing::InitGoogleMock(&argc, argv);
    if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();
    try {
        return with_python();
    } catch (const std::exception& e) {
        std::cerr << "contract: " << e.what() << "\n";
        return EXIT_FAILURE;
    }
}
