#include "stage3_native_loop/native/core/metrics.hpp"

#include "stage3_native_loop/native/core/loop.hpp"

namespace asioloop {

using asioserve::py::Ref;

namespace {

PyObject* number(std::uint64_t n) {
    return PyLong_FromUnsignedLongLong(n);
}

}  // namespace

PyObject* metrics_of(LoopCore& core) {
    const Metrics& m = core.metrics();
    Ref lag = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(LagHistogram::size)));
    for (std::size_t i = 0; lag && i < LagHistogram::size; ++i) {
        PyObject* n = number(m.lag.get(i));
        if (!n) return nullptr;
        PyTuple_SET_ITEM(lag.get(), static_cast<Py_ssize_t>(i), n);
    }
    if (!lag) return nullptr;
    const auto n = [](const asioserve::Counter& counter) {
        return static_cast<unsigned long long>(counter.get());
    };
    return Py_BuildValue("(KKKKOKKKK(KKKKK))", n(m.turns), n(m.callbacks),
                         static_cast<unsigned long long>(core.ready()), n(m.most_ready), lag.get(),
                         static_cast<unsigned long long>(core.running_time()), n(m.waiting), n(m.gil_taken),
                         n(m.gil_waiting), n(m.polls), n(m.reads), n(m.writes), n(m.accepts), n(m.wake_ups));
}

}  // namespace asioloop
