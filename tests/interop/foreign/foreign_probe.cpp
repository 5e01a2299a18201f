// What the tests do to the table of functions that an example would not.
#include <asioloop.h>

#include <atomic>
#include <thread>

namespace {

const asioloop_api* api = nullptr;
std::atomic<int> dropped{0};

// A Python callable, called as it was posted: its exception is left set.
void call(void* data) {
    PyObject* function = static_cast<PyObject*>(data);
    PyObject* result = PyObject_CallNoArgs(function);
    Py_XDECREF(result);
    Py_DECREF(function);
}

void drop(void* data) {
    const PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF(static_cast<PyObject*>(data));
    PyGILState_Release(state);
    ++dropped;
}

asioloop_ref* loop_of(PyObject* capsule) {
    return static_cast<asioloop_ref*>(PyCapsule_GetPointer(capsule, "loop"));
}

PyObject* acquire(PyObject*, PyObject* loop) {
    asioloop_ref* ref = api->acquire(loop == Py_None ? nullptr : loop);
    if (!ref) return nullptr;
    return PyCapsule_New(ref, "loop", [](PyObject* capsule) { api->release(loop_of(capsule)); });
}

PyObject* post(PyObject*, PyObject* args) {
    PyObject* capsule = nullptr;
    PyObject* function = nullptr;
    if (!PyArg_ParseTuple(args, "OO", &capsule, &function)) return nullptr;
    return PyLong_FromLong(api->post(loop_of(capsule), call, drop, Py_NewRef(function)));
}

// From a thread that has no GIL and a reference of its own, `count` times.
PyObject* post_from_thread(PyObject*, PyObject* args) {
    PyObject* capsule = nullptr;
    PyObject* function = nullptr;
    int count = 0;
    if (!PyArg_ParseTuple(args, "OOi", &capsule, &function, &count)) return nullptr;
    asioloop_ref* loop = api->share(loop_of(capsule));
    for (int i = 0; i < count; ++i) Py_INCREF(function);
    Py_BEGIN_ALLOW_THREADS;
    std::thread([=] {
        for (int i = 0; i < count; ++i) api->post(loop, call, drop, function);
        api->release(loop);
    }).join();
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

PyObject* how_many_dropped(PyObject*, PyObject*) {
    return PyLong_FromLong(dropped);
}

PyObject* versions(PyObject*, PyObject*) {
    return Py_BuildValue("II", api->abi, api->asio_version);
}

PyMethodDef methods[] = {
    {"acquire", acquire, METH_O, nullptr},
    {"post", post, METH_VARARGS, nullptr},
    {"post_from_thread", post_from_thread, METH_VARARGS, nullptr},
    {"dropped", how_many_dropped, METH_NOARGS, nullptr},
    {"versions", versions, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "foreign_probe", nullptr, 0, methods, nullptr, nullptr, nullptr, nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit_foreign_probe() {
    api = static_cast<const asioloop_api*>(PyCapsule_Import(ASIOLOOP_CAPSULE, 0));
    return api ? PyModule_Create(&definition) : nullptr;
}
