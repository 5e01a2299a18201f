#include "common/app/path_table.hpp"

#include <cstring>

namespace asioserve::app {

namespace {

template <class Word>
std::uint64_t load(const char* from) noexcept {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) noexcept {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;  // 2^64 over the golden ratio
    return hash ^ hash >> 32;
}

// All bytes count, as routes of one app are much alike. Eight at a time, the last ones perhaps twice.
std::uint64_t hash_of(std::string_view text) noexcept {
    const char* const at = text.data();
    const std::size_t size = text.size();
    std::uint64_t hash = size;
    if (size >= 8) {
        for (std::size_t i = 0; i + 8 < size; i += 8) hash = mix(hash, load<std::uint64_t>(at + i));
        return mix(hash, load<std::uint64_t>(at + size - 8));
    }
    if (size >= 4) return mix(hash, load<std::uint32_t>(at) << 32 | load<std::uint32_t>(at + size - 4));
    if (size == 0) return hash;
    return mix(hash, load<unsigned char>(at) << 16 | load<unsigned char>(at + size / 2) << 8 |
                         load<unsigned char>(at + size - 1));
}

// Nearly always so, and short: without a call.
bool same(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    const char* const x = a.data();
    const char* const y = b.data();
    const std::size_t size = a.size();
    if (size >= 8) {
        for (std::size_t i = 0; i + 8 < size; i += 8)
            if (load<std::uint64_t>(x + i) != load<std::uint64_t>(y + i)) return false;
        return load<std::uint64_t>(x + size - 8) == load<std::uint64_t>(y + size - 8);
    }
    if (size >= 4)
        return load<std::uint32_t>(x) == load<std::uint32_t>(y) &&
               load<std::uint32_t>(x + size - 4) == load<std::uint32_t>(y + size - 4);
    for (std::size_t i = 0; i < size; ++i)
        if (x[i] != y[i]) return false;
    return true;
}

}  // namespace

inline std::size_t PathTable::slot_of(std::uint64_t hash, std::string_view key) const noexcept {
    for (std::size_t slot = hash & mask_;; slot = (slot + 1) & mask_) {
        if (slots_[slot] == 0) return slot;
        const Entry& entry = entries_[slots_[slot] - 1];
        if (entry.hash == hash && same(entry.key, key)) return slot;
    }
}

PathTable::Numbers& PathTable::operator[](std::string_view key) {
    const std::uint64_t hash = hash_of(key);
    std::size_t slot = slot_of(hash, key);
    if (slots_[slot] == 0) {
        entries_.push_back({hash, key, {}});
        if (2 * entries_.size() > slots_.size())
            grow();
        else
            slots_[slot] = static_cast<std::uint32_t>(entries_.size());
        return entries_.back().numbers;
    }
    return entries_[slots_[slot] - 1].numbers;
}

void PathTable::grow() {
    slots_.assign(2 * slots_.size(), 0);
    mask_ = slots_.size() - 1;
    for (std::size_t i = 0; i < entries_.size(); ++i)
        slots_[slot_of(entries_[i].hash, entries_[i].key)] = static_cast<std::uint32_t>(i + 1);
}

const PathTable::Numbers* PathTable::find(std::string_view key) const noexcept {
    const std::uint32_t place = slots_[slot_of(hash_of(key), key)];
    return place == 0 ? nullptr : &entries_[place - 1].numbers;
}

}  // namespace asioserve::app
