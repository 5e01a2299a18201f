// An extension module that is built apart from the loop, with asioloop.h and nothing else: a thread of its
// own computes, and Python awaits the result.
//
//     value = await own_thread.sum_of_squares(1_000_000)
#include <asioloop.h>

#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace {

const asioloop_api* api = nullptr;

// The threads that compute: they must have ended before the interpreter does.
std::mutex threads_mutex;
std::vector<std::thread> threads;

PyObject* join_threads(PyObject*, PyObject*) {
    std::vector<std::thread> ending;
    {
        const std::lock_guard lock(threads_mutex);
        ending.swap(threads);
    }
    Py_BEGIN_ALLOW_THREADS;
    for (std::thread& thread : ending) thread.join();
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

// [guide-foreign]
// A computation, its Future, and the loop's reference by which the thread comes back.
struct Work {
    asioloop_ref* loop;
    PyObject* future;
    unsigned long long n;
    unsigned long long sum = 0;
};

// In the loop's thread, with the GIL.
void finish(void* data) {
    const std::unique_ptr<Work> work(static_cast<Work*>(data));
    PyObject* done = PyObject_CallMethod(work->future, "done", nullptr);
    PyObject* set = nullptr;
    // It may have been cancelled meanwhile.
    if (done == Py_False) set = PyObject_CallMethod(work->future, "set_result", "(K)", work->sum);
    Py_XDECREF(done);
    Py_XDECREF(set);
    Py_DECREF(work->future);
    api->release(work->loop);
}

// The loop was closed first: nobody awaits any more.
void forget(void* data) {
    const std::unique_ptr<Work> work(static_cast<Work*>(data));
    const PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF(work->future);
    PyGILState_Release(state);
    api->release(work->loop);
}

// In the thread, without the GIL.
void compute(Work* work) {
    for (unsigned long long i = 1; i <= work->n; ++i) work->sum += i * i;
    api->post(work->loop, finish, forget, work);
}

PyObject* sum_of_squares(PyObject*, PyObject* argument) {
    const unsigned long long n = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred()) return nullptr;
    asioloop_ref* loop = api->acquire(nullptr);
    if (!loop) return nullptr;
    PyObject* asyncio = PyImport_ImportModule("asyncio");
    PyObject* running = asyncio ? PyObject_CallMethod(asyncio, "get_running_loop", nullptr) : nullptr;
    PyObject* future = running ? PyObject_CallMethod(running, "create_future", nullptr) : nullptr;
    Py_XDECREF(running);
    Py_XDECREF(asyncio);
    Work* work = future ? new (std::nothrow) Work{loop, Py_NewRef(future), n} : nullptr;
    if (!work) {
        api->release(loop);
        Py_XDECREF(future);
        return PyErr_Occurred() ? nullptr : PyErr_NoMemory();
    }
    try {
        const std::lock_guard lock(threads_mutex);
        threads.emplace_back(compute, work);
    } catch (const std::system_error& error) {
        forget(work);
        Py_DECREF(future);
        return PyErr_Format(PyExc_RuntimeError, "no thread: %s", error.what());
    }
    return future;
}
// [guide-foreign]

PyMethodDef methods[] = {
    {"sum_of_squares", sum_of_squares, METH_O, "sum_of_squares(n): a Future of 1 + 4 + ... + n * n."},
    {"join_threads", join_threads, METH_NOARGS, "join_threads(): return when no thread computes any more."},
    {nullptr, nullptr, 0, nullptr},
};

// For the interpreter's end.
bool join_at_exit(PyObject* module) {
    PyObject* join = PyObject_GetAttrString(module, "join_threads");
    PyObject* atexit = PyImport_ImportModule("atexit");
    PyObject* done = join && atexit ? PyObject_CallMethod(atexit, "register", "O", join) : nullptr;
    Py_XDECREF(join);
    Py_XDECREF(atexit);
    Py_XDECREF(done);
    return done != nullptr;
}

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "own_thread",
    "A computation in a thread, for an asyncio program.",
    0,
    methods,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit_own_thread() {
    api = static_cast<const asioloop_api*>(PyCapsule_Import(ASIOLOOP_CAPSULE, 0));
    if (!api) return nullptr;
    if (api->abi < ASIOLOOP_ABI) {
        PyErr_SetString(PyExc_ImportError, "own_thread needs a newer asioloop");
        return nullptr;
    }
    PyObject* module = PyModule_Create(&definition);
    if (module && !join_at_exit(module)) Py_CLEAR(module);
    return module;
}
