// What is wrong with a request, in the shapes of pydantic and FastAPI: the "detail" of a 422.
//
// Threads: everything needs the GIL.
#pragma once

#include "common/python/ref.hpp"

#include <string_view>

#include "common/app/plan.hpp"

namespace asioserve::app {

/// Gathers errors; most requests have none and cost nothing.
class Invalid {
  public:
    /// `plan` outlives it.
    explicit Invalid(const Plan& plan) noexcept : plan_(plan) {}

    /// Whether something was wrong.
    bool any() const noexcept { return static_cast<bool>(list_); }
    /// The list of dicts; null when there are none.
    PyObject* list() const noexcept { return list_.get(); }

    /// {"type": …, "loc": …, "msg": …, "input": …}. False: an exception is set (no memory).
    bool add(std::string_view type, std::string_view message, PyObject* loc, PyObject* input)
        ASIOSERVE_REQUIRES(py::gil);
    /// A required value that is not there.
    bool add_missing(PyObject* loc) ASIOSERVE_REQUIRES(py::gil);
    /// A text that does not convert to int, float or bool.
    bool add_unparsed(ParamType type, bool too_long, PyObject* loc, PyObject* input)
        ASIOSERVE_REQUIRES(py::gil);
    /// The exception that is set: a RequestValidationError's errors join the list. False: it was another one,
    /// which stays set.
    bool add_raised() ASIOSERVE_REQUIRES(py::gil);

    /// `loc` with one more part.
    static py::Ref at(PyObject* loc, std::size_t index) ASIOSERVE_REQUIRES(py::gil);

  private:
    bool make_list() ASIOSERVE_REQUIRES(py::gil);

    const Plan& plan_;
    py::Ref list_;
};

}  // namespace asioserve::app
