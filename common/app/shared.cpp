#include "common/app/shared.hpp"

#include "common/python/errors.hpp"

namespace asioserve::app {

void Shared::report(PyObject* exception, const Exchange& x) const {
    if (options.on_error) options.on_error(py::describe_exception(exception), x.head());
}

}  // namespace asioserve::app
