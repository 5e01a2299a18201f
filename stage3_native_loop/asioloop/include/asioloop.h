/* asioloop.h: what an extension module that is built apart may do with the loop, from any thread. It needs
 * Python.h alone: neither Asio nor anything to link. C, so that C++, Cython, Rust and Zig can use it.
 *
 *     const asioloop_api *api = (const asioloop_api *)PyCapsule_Import(ASIOLOOP_CAPSULE, 0);
 *     if (!api || api->abi < ASIOLOOP_ABI) ...
 *
 * The folder of this file: asioloop.get_include(). Where C++ is part of the same program as the loop, or links
 * asioloop_core, the coroutines' bridge (native/interop/bridge.hpp) can do more. Such code shares the loop's
 * copy of Asio; two copies in one process disagree on who is in the loop, which is why none is needed here.
 */
#ifndef ASIOLOOP_H
#define ASIOLOOP_H

#include <Python.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of the table below. It grows when the table does, at its end; whoever breaks it names the capsule anew. */
#define ASIOLOOP_ABI 1
/* For PyCapsule_Import(). */
#define ASIOLOOP_CAPSULE "_asioloop.api"

/* A loop, and the context variables in which it calls: counted, and valid also once the loop is closed. */
typedef struct asioloop_ref asioloop_ref;
/* Your code. */
typedef void (*asioloop_function)(void *data);

typedef struct asioloop_api {
    /* ASIOLOOP_ABI of the loop: at least yours. */
    uint32_t abi;
    /* ASIO_VERSION of the loop, for who reports it. */
    uint32_t asio_version;

    /* The loop of a Python object; NULL: the one that runs in this thread. What is called on it sees a copy of
     * the current context variables. NULL with an exception set: it is no asioloop.Loop (TypeError), it is
     * closed or none is running (RuntimeError). The GIL. */
    asioloop_ref *(*acquire)(PyObject *loop);
    /* One more reference to it. Any thread, with or without the GIL, as everything below. */
    asioloop_ref *(*share)(asioloop_ref *loop);
    /* One less. */
    void (*release)(asioloop_ref *loop);

    /* run(data) in the loop's thread: soon, in the order of the posts of one thread, never inside a Python
     * callback, with the GIL, the loop as the running one and no current task. An exception that run() leaves
     * set goes to the loop's exception handler. Or, where the loop is closed first, drop(data): in whatever
     * thread, perhaps before this returns, and perhaps without the GIL. Exactly one of them, once. drop may be
     * NULL. -1: there was no memory for it, and drop(data) has been called. */
    int (*post)(asioloop_ref *loop, asioloop_function run, asioloop_function drop, void *data);
} asioloop_api;

#ifdef __cplusplus
}
#endif

#endif
