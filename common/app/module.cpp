// The built-in module `_asioserve`: the types behind asioserve's Request and StreamingResponse.
#include "common/app/native_request.hpp"
#include "common/app/ready.hpp"
#include "common/app/sink.hpp"
#include "common/python/errors.hpp"

namespace asioserve::app {

namespace {

int fill(PyObject* module) {
    py::gil.assert_held();
    try {
        py::must_not_fail(PyModule_AddObjectRef(module, "Request", make_request_type(module).get()));
        py::must_not_fail(PyModule_AddObjectRef(module, "BodyStream", make_body_stream_type(module).get()));
        py::must_not_fail(PyModule_AddObjectRef(module, "Sink", make_sink_type(module).get()));
        py::must_not_fail(PyModule_AddObjectRef(module, "Ready", make_ready_type(module).get()));
    } catch (const std::exception& e) {
        PyErr_SetString(PyExc_ImportError, e.what());
        return -1;
    }
    return 0;
}

}  // namespace

}  // namespace asioserve::app

extern "C" PyObject* PyInit__asioserve() {
    static PyModuleDef_Slot slots[] = {{Py_mod_exec, reinterpret_cast<void*>(asioserve::app::fill)},
                                       {0, nullptr}};
    static PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                     "_asioserve",
                                     "What asioserve needs of the server that it runs in.",
                                     0,
                                     nullptr,
                                     slots,
                                     nullptr,
                                     nullptr,
                                     nullptr};
    return PyModuleDef_Init(&definition);
}
