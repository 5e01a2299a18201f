#include "common/app/names.hpp"

#include "common/python/errors.hpp"

namespace asioserve::app {

Names::Names() {
    const auto intern = [](const char* text) {
        py::gil.assert_held();
        return py::must(PyUnicode_InternFromString(text));
    };
    status_code = intern("status_code");
    body = intern("body");
    raw_headers = intern("raw_headers");
    pump = intern("_pump");
    detail = intern("detail");
    headers = intern("headers");
    errors = intern("_errors");
    create_future = intern("create_future");
    set_result = intern("set_result");
    set_exception = intern("set_exception");
    done = intern("done");
    cancel = intern("cancel");
    type = intern("type");
    loc = intern("loc");
    msg = intern("msg");
    input = intern("input");
    ctx = intern("ctx");
}

}  // namespace asioserve::app
