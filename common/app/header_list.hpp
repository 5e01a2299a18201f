// The headers of an answer, checked: from Python's list of pairs of bytes to views.
//
// Threads: everything needs the GIL.
#pragma once

#include "common/python/ref.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/runner/exchange.hpp"

namespace asioserve::app {

/// Views of an answer's fields; what they point into is kept alive by the Python objects and by this object.
class HeaderList {
  public:
    HeaderList() = default;
    HeaderList(const HeaderList&) = delete;
    HeaderList& operator=(const HeaderList&) = delete;

    /// Adds the fields of a list of (name, value) bytes. False: a Python exception is set: a wrong type, or a
    /// CR, LF or NUL that would let a value forge further fields.
    bool add_pairs(PyObject* list) ASIOSERVE_REQUIRES(py::gil);
    /// Adds the items of a mapping of str to str, None is an empty one.
    bool add_mapping(PyObject* mapping) ASIOSERVE_REQUIRES(py::gil);

    /// The fields in order, as views into this list.
    std::span<const Header> get() const noexcept { return headers_; }
    /// Whether a field of that name is there.
    bool has(std::string_view lower_name) const noexcept;
    /// The content-length that was among them (it is taken out: framing is the connection's business), or -1.
    std::int64_t content_length() const noexcept { return content_length_; }

  private:
    bool add(std::string_view name, std::string_view value) ASIOSERVE_REQUIRES(py::gil);

    std::vector<Header> headers_;
    std::deque<std::string> texts_;  // names that had to be put into lower case, fields of mappings
    std::vector<py::Ref> kept_;
    std::int64_t content_length_ = -1;
};

}  // namespace asioserve::app
