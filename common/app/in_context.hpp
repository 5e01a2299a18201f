// A scope inside a contextvars.Context.
//
// Threads: needs the GIL; a context can be entered by one thread at a time.
#pragma once

#include "common/python/ref.hpp"

namespace asioserve::app {

/// Enters a context and leaves it, as Context.run() does. Keeps what the scope left behind as an exception.
class InContext {
  public:
    /// Enters it, which no other scope has done.
    explicit InContext(py::Ref context) noexcept : context_(std::move(context)) {
        if (PyContext_Enter(context_.get()) != 0) Py_FatalError("the context of a request is entered twice");
    }
    ~InContext() { PyContext_Exit(context_.get()); }
    InContext(const InContext&) = delete;
    InContext& operator=(const InContext&) = delete;

  private:
    py::Ref context_;
};

}  // namespace asioserve::app
