// A Python with the loop, the examples and the probe built in: so a sanitizer build needs no preloading, and
// the C++ of the examples shares the loop's copy of Asio.
#include "stage3_native_loop/native/core/module.hpp"

extern "C" PyObject* PyInit_cpp_awaitables();
extern "C" PyObject* PyInit_bridge_probe();

int main(int argc, char** argv) {
    PyImport_AppendInittab("_asioloop", &PyInit__asioloop);
    PyImport_AppendInittab("cpp_awaitables", &PyInit_cpp_awaitables);
    PyImport_AppendInittab("bridge_probe", &PyInit_bridge_probe);
    return Py_BytesMain(argc, argv);
}
