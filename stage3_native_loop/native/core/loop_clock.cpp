#include "stage3_native_loop/native/core/loop_clock.hpp"

#include <ctime>

namespace asioloop {

using asioserve::py::Ref;

double LoopClock::monotonic() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void LoopClock::look_at_class() {
    PyTypeObject* type = Py_TYPE(loop_);
    Ref method = Ref::steal(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), "time"));
    if (!method) PyErr_Clear();
    of_class_ = method && method.get() != native_;
    version_ = type->tp_version_tag;
}

bool LoopClock::ask(double& seconds) {
    Ref now = Ref::steal(PyObject_CallMethod(loop_, "time", nullptr));
    seconds = now ? PyFloat_AsDouble(now.get()) : -1;
    return seconds != -1 || !PyErr_Occurred();
}

}  // namespace asioloop
