#include "common/app/json_writer.hpp"

#include <charconv>
#include <cstdint>
#include <cstring>

namespace asioserve::app {

namespace {

template <class Word>
Word load(const char* from) noexcept {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

// Whether eight characters of ASCII stand for themselves: no control character, quote or backslash. Below
// 0x80 no sum carries into the next byte, so that bit 7 of each says: at least 0x20; not equal.
bool is_plain(std::uint64_t eight) noexcept {
    constexpr std::uint64_t each = 0x0101010101010101;
    const std::uint64_t visible = eight + 0x60 * each;
    const std::uint64_t no_quote = (eight ^ '"' * each) + 0x7f * each;
    const std::uint64_t no_backslash = (eight ^ '\\' * each) + 0x7f * each;
    return (~(visible & no_quote & no_backslash) & 0x80 * each) == 0;
}

bool is_plain(char c) noexcept {
    return c >= 0x20 && c != '"' && c != '\\';
}

// Copies `size` characters of ASCII; null if one of them has to be escaped. Never reads beyond them.
char* copy_plain(char* to, const char* from, std::size_t size) noexcept {
    if (size >= 8) {
        for (std::size_t i = 0; i + 8 < size; i += 8) {
            const auto eight = load<std::uint64_t>(from + i);
            if (!is_plain(eight)) return nullptr;
            std::memcpy(to + i, &eight, 8);
        }
        const auto eight = load<std::uint64_t>(from + size - 8);  // some of it for the second time
        if (!is_plain(eight)) return nullptr;
        std::memcpy(to + size - 8, &eight, 8);
    } else if (size >= 4) {
        const auto first = load<std::uint32_t>(from);
        const auto last = load<std::uint32_t>(from + size - 4);
        if (!is_plain(std::uint64_t{first} << 32 | last)) return nullptr;
        std::memcpy(to, &first, 4);
        std::memcpy(to + size - 4, &last, 4);
    } else {
        for (std::size_t i = 0; i < size; ++i) {
            if (!is_plain(from[i])) return nullptr;
            to[i] = from[i];
        }
    }
    return to + size;
}

template <std::size_t size>
char* put(char* to, const char (&word)[size]) noexcept {
    std::memcpy(to, word, size - 1);
    return to + size - 1;
}

char* integer(char* to, PyObject* v) noexcept {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(v, &overflow);
    if (overflow != 0) return nullptr;
    if (number >= 0 && number <= 9) {
        *to = static_cast<char>('0' + number);
        return to + 1;
    }
    return std::to_chars(to, to + 20, number).ptr;
}

}  // namespace

std::string_view JsonWriter::write(PyObject* v) noexcept {
    const char* const end = value(room_, v, most_levels);
    return end == nullptr ? std::string_view()
                          : std::string_view(room_, static_cast<std::size_t>(end - room_));
}

char* JsonWriter::value(char* to, PyObject* v, unsigned levels) const noexcept {
    const PyTypeObject* const type = Py_TYPE(v);
    if (type == &PyUnicode_Type) return text(to, v);
    if (to > room_ + most_bytes) return nullptr;
    if (type == &PyLong_Type) return integer(to, v);
    if (v == Py_None) return put(to, "null");
    if (v == Py_True) return put(to, "true");
    if (v == Py_False) return put(to, "false");
    if (levels == 0) return nullptr;
    if (type == &PyDict_Type) return object(to, v, levels - 1);
    if (type == &PyList_Type) {
        auto* const list = reinterpret_cast<PyListObject*>(v);
        return array(to, list->ob_item, PyList_GET_SIZE(v), levels - 1);
    }
    if (type == &PyTuple_Type) {
        auto* const tuple = reinterpret_cast<PyTupleObject*>(v);
        return array(to, tuple->ob_item, PyTuple_GET_SIZE(v), levels - 1);
    }
    return nullptr;
}

char* JsonWriter::text(char* to, PyObject* v) const noexcept {
    if (!PyUnicode_IS_COMPACT_ASCII(v)) return nullptr;
    const auto size = static_cast<std::size_t>(PyUnicode_GET_LENGTH(v));
    // With `to` in the slack the difference is negative.
    if (static_cast<std::ptrdiff_t>(most_bytes) - (to - room_) < static_cast<std::ptrdiff_t>(size))
        return nullptr;
    *to++ = '"';
    to = copy_plain(to, reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(v)), size);
    if (to != nullptr) *to++ = '"';
    return to;
}

char* JsonWriter::object(char* to, PyObject* v, unsigned levels) const noexcept {
    *to++ = '{';
    Py_ssize_t at = 0;
    PyObject* key = nullptr;
    PyObject* item = nullptr;
    // By their count: the call that finds no further pair is spared.
    const Py_ssize_t count = PyDict_GET_SIZE(v);
    for (Py_ssize_t i = 0; i < count && PyDict_Next(v, &at, &key, &item) != 0; ++i) {
        if (i != 0) *to++ = ',';
        if (!PyUnicode_CheckExact(key)) return nullptr;
        to = text(to, key);
        if (to == nullptr) return nullptr;
        *to++ = ':';
        to = value(to, item, levels);
        if (to == nullptr) return nullptr;
    }
    *to++ = '}';
    return to;
}

char* JsonWriter::array(char* to, PyObject* const* items, Py_ssize_t count, unsigned levels) const noexcept {
    *to++ = '[';
    for (Py_ssize_t i = 0; i < count; ++i) {
        if (i != 0) *to++ = ',';
        to = value(to, items[i], levels);
        if (to == nullptr) return nullptr;
    }
    *to++ = ']';
    return to;
}

}  // namespace asioserve::app
