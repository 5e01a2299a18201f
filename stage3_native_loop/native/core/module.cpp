#include "stage3_native_loop/native/core/module.hpp"

#include <new>

#include "stage3_native_loop/native/core/build_id.hpp"
#include "stage3_native_loop/native/core/safe_handle.hpp"
#include "stage3_native_loop/native/core/timer_handle.hpp"
#include "stage3_native_loop/native/interop/foreign.hpp"
#include "stage3_native_loop/native/net/acceptor.hpp"
#include "stage3_native_loop/native/net/datagram.hpp"
#include "stage3_native_loop/native/net/pipe_reader.hpp"
#include "stage3_native_loop/native/net/pipe_writer.hpp"
#include "stage3_native_loop/native/net/stream.hpp"
#include "stage3_native_loop/native/net/tls.hpp"
#include "stage3_native_loop/native/net/window.hpp"
#include "stage3_native_loop/native/os/spawn.hpp"

namespace asioloop {

using asioserve::py::Ref;

namespace {

ModuleState& state(PyObject* module) {
    return *static_cast<ModuleState*>(PyModule_GetState(module));
}

/// Nothing here is shared by interpreters: whatever is kept, a module or a loop keeps it. Nothing is locked
/// either: threads take turns by the GIL (Py_mod_gil below).
bool works_in_this_interpreter() {
#if PY_VERSION_HEX < 0x030C0000
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(
            PyExc_ImportError,
            "asioloop works in sub-interpreters from Python 3.12 on: before, they share asyncio's "
            "notion of which loop is running");
        return false;
    }
#endif
    return true;
}

int exec(PyObject* module) {
    // First: free_module() takes it for made once it is there.
    ModuleState& s = *new (PyModule_GetState(module)) ModuleState();
    s.module = module;
    if (!works_in_this_interpreter()) return -1;
    if (!s.handles.load() || !s.context_vars.load() || !s.tasks.load() || !s.names.load()) return -1;
    Ref safe = make_safe_handle_type(module);
    if (!safe) return -1;
    s.handles.use_for_threads(std::move(safe));
    Ref timer = make_timer_handle_type(module, s.handles);
    if (!timer) return -1;
    s.handles.use_for_timers(std::move(timer));
    s.empty_tuple = Ref::steal(PyTuple_New(0));
    s.empty_bytes = Ref::steal(PyBytes_FromStringAndSize(nullptr, 0));
    Ref events = Ref::steal(PyImport_ImportModule("asyncio.events"));
    Ref protocols = Ref::steal(PyImport_ImportModule("asyncio.protocols"));
    s.minus_one = Ref::steal(PyLong_FromLong(-1));
    s.data_received = Ref::steal(PyUnicode_InternFromString("data_received"));
    s.get_buffer = Ref::steal(PyUnicode_InternFromString("get_buffer"));
    s.buffer_updated = Ref::steal(PyUnicode_InternFromString("buffer_updated"));
    s.datagram_received = Ref::steal(PyUnicode_InternFromString("datagram_received"));
    if (!events || !protocols || !s.empty_tuple || !s.empty_bytes || !s.minus_one || !s.data_received ||
        !s.get_buffer || !s.buffer_updated || !s.datagram_received || !s.literals.load(module))
        return -1;
    s.buffered_protocol = Ref::steal(PyObject_GetAttrString(protocols.get(), "BufferedProtocol"));
    s.set_running_loop = Ref::steal(PyObject_GetAttrString(events.get(), "_set_running_loop"));
    s.loop_type = Ref::steal(make_loop_type(module));
    if (s.loop_type) s.native_time = Ref::steal(PyObject_GetAttrString(s.loop_type.get(), "time"));
    Ref names = Ref::steal(PyDict_New());
    s.stream_type = Ref::steal(make_stream_type(module));
    s.tls_type = Ref::steal(make_tls_type(module));
    s.window = Ref::steal(make_window(module));
    s.pending = Ref::steal(PyUnicode_InternFromString("pending"));
    if (!s.tls_type || !s.window || !s.pending) return -1;
    if (PyModule_AddObjectRef(module, "TlsProtocol", s.tls_type.get()) < 0) return -1;
    if (!s.set_running_loop || !s.native_time || !s.stream_type || !s.buffered_protocol || !names) return -1;
    s.do_nothing = Ref::steal(PyRun_String("lambda: None", Py_eval_input, names.get(), names.get()));
    if (!s.do_nothing) return -1;
    s.datagram_type = Ref::steal(make_datagram_type(module));
    if (!s.datagram_type || PyModule_AddObjectRef(module, "DatagramTransport", s.datagram_type.get()) < 0)
        return -1;
    if (PyModule_AddStringConstant(module, "build_id", kBuildId) < 0) return -1;
    Ref reader = Ref::steal(make_pipe_reader_type(module));
    if (!reader || PyModule_AddObjectRef(module, "PipeReader", reader.get()) < 0) return -1;
    const Ref acceptor = Ref::steal(make_acceptor_type(module));
    if (!acceptor || PyModule_AddObjectRef(module, "Acceptor", acceptor.get()) < 0) return -1;
    Ref writer = Ref::steal(make_pipe_writer_type(module));
    if (!writer || PyModule_AddObjectRef(module, "PipeWriter", writer.get()) < 0) return -1;
    if (PyModule_AddObjectRef(module, "StreamTransport", s.stream_type.get()) < 0) return -1;
    if (!add_spawn(module)) return -1;
    Ref api = Ref::steal(make_foreign_api());
    if (!api || PyModule_AddObjectRef(module, "api", api.get()) < 0) return -1;
    return PyModule_AddObjectRef(module, "LoopCore", s.loop_type.get());
}

int traverse(PyObject* module, visitproc visit, void* arg) {
    ModuleState& s = state(module);
    Py_VISIT(s.loop_type.get());
    Py_VISIT(s.stream_type.get());
    Py_VISIT(s.datagram_type.get());
    Py_VISIT(s.tls_type.get());
    Py_VISIT(s.window.get());
    if (const int r = s.handles.traverse(visit, arg)) return r;
    if (const int r = s.literals.traverse(visit, arg)) return r;
    Py_VISIT(s.native_time.get());
    if (const int r = s.tasks.traverse(visit, arg)) return r;
    Py_VISIT(s.buffered_protocol.get());
    Py_VISIT(s.set_running_loop.get());
    Py_VISIT(s.do_nothing.get());
    return 0;
}

void free_module(void* module) {
    // Null when exec was never reached.
    if (auto* s = static_cast<ModuleState*>(PyModule_GetState(static_cast<PyObject*>(module))))
        s->~ModuleState();
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(&exec)},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_asioloop",
    "The core of asioloop.Loop: an asyncio event loop on an asio::io_context.",
    sizeof(ModuleState),
    nullptr,
    slots,
    traverse,
    nullptr,
    free_module,
};

}  // namespace

KeepsModule::KeepsModule(const ModuleState& state) noexcept : module_(Ref::borrow(state.module)) {}

ModuleState* state_of(PyTypeObject* loop_type) {
    // CPython takes for granted that there is one.
    if (!loop_type->tp_mro) {
        PyErr_Format(PyExc_TypeError, "type %s has been cleared by the collector", loop_type->tp_name);
        return nullptr;
    }
    PyObject* module = PyType_GetModuleByDef(loop_type, &definition);
    return module ? &state(module) : nullptr;
}

ModuleState& state_of_module(PyObject* module) {
    return state(module);
}

}  // namespace asioloop

PyObject* PyInit__asioloop() {
    return PyModuleDef_Init(&asioloop::definition);
}
