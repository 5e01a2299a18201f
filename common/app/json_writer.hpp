// The JSON of the answers that are nearly all answers, without a call into Python and without an object for
// the bytes.
//
// Threads: everything needs the GIL; a writer is its user's own. No code of the app runs in here.
#pragma once

#include "common/python/python.hpp"

#include <cstddef>
#include <string_view>

#include "common/python/gil.hpp"

namespace asioserve::app {

/// Writes dict, list, tuple, ASCII str, int, bool and None, a few levels deep, as orjson does. Whatever else
/// is in a value, it is left to the encoder as a whole: what JSON makes of the rest is said in one place
/// only.
class JsonWriter {
  public:
    /// Longer texts are left to the encoder, whose loops are better than ours.
    static constexpr std::size_t most_bytes = 4096;
    /// So are deeper values.
    static constexpr unsigned most_levels = 16;

    JsonWriter() noexcept {}  // NOLINT(modernize-use-equals-default): = default would zero the room
    JsonWriter(const JsonWriter&) = delete;
    JsonWriter& operator=(const JsonWriter&) = delete;

    /// The text, which lives in this writer until the next call; empty where the encoder has to be asked. No
    /// exception is set.
    std::string_view write(PyObject* value) noexcept ASIOSERVE_REQUIRES(py::gil);

  private:
    // What is written without asking for room: a number, the ends of all levels, a comma, a quote.
    static constexpr std::size_t slack = 64;

    // Each writes at `to` and gives the place behind it; null: give up.
    char* value(char* to, PyObject* v, unsigned levels) const noexcept ASIOSERVE_REQUIRES(py::gil);
    char* text(char* to, PyObject* v) const noexcept ASIOSERVE_REQUIRES(py::gil);
    char* object(char* to, PyObject* v, unsigned levels) const noexcept ASIOSERVE_REQUIRES(py::gil);
    char* array(char* to, PyObject* const* items, Py_ssize_t count, unsigned levels) const noexcept
        ASIOSERVE_REQUIRES(py::gil);

    char room_[most_bytes + slack];
};

}  // namespace asioserve::app
