// One loop for C++ coroutines and Python coroutines: everything that a C++ program or the server needs, in
// one include.
//
// | to get                                   | write                                      |
// | ---------------------------------------- | ------------------------------------------ |
// | the running loop's executor              | Executor::of_running_loop()                |
// | its io_context, for what knows no Python | running_io_context()                       |
// | a Python result in a C++ coroutine       | co_await await(object)                     |
// | several at once                          | co_await await_all(a, b, c)                |
// | the same with any completion token       | async_await(object, token)                 |
// | an asyncio.Future of a C++ coroutine     | co_spawn(executor, coroutine(), as_future) |
// | an asyncio.Future of any Asio operation  | operation(..., as_future)                  |
//
// Rules: on an Executor the GIL is held from each resume to the next suspension, so a computation that takes
// long lets it go itself (asioserve::py::GilRelease); what a coroutine keeps from one suspension to the next
// are Objects, which may be moved and destroyed anywhere. Code that links asioloop_core shares its copy of
// Asio; an extension that brings another copy must not touch the io_context, and has asioloop.h.
#pragma once

#include "stage3_native_loop/native/interop/as_future.hpp"
#include "stage3_native_loop/native/interop/await_all.hpp"
#include "stage3_native_loop/native/interop/await_python.hpp"
#include "stage3_native_loop/native/interop/convert.hpp"
#include "stage3_native_loop/native/interop/errors.hpp"
#include "stage3_native_loop/native/interop/executor.hpp"
