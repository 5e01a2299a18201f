// From a text to numbers of routes: a hash table that is filled once and asked for every request.
//
// Threads: operator[] before serving; find() on any thread afterwards, without locks. No Python.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace asioserve::app {

/// Open addressing, at most half full. The keys are the app's: whatever path a peer makes up, it is compared
/// with no more keys than stand in one run, which it cannot make longer.
class PathTable {
  public:
    /// Numbers of routes, in ascending order.
    using Numbers = std::vector<std::uint32_t>;
    /// A key with what is kept for it.
    struct Entry {
        /// Spread over all 64 bits.
        std::uint64_t hash;
        /// As it was given.
        std::string_view key;
        /// What the user makes of it.
        Numbers numbers;
    };

    /// The numbers of `key`, none at first. The bytes of the key outlive the table. What was given before is
    /// no longer valid.
    Numbers& operator[](std::string_view key);
    /// The numbers of `key`, null where it is not known.
    const Numbers* find(std::string_view key) const noexcept;
    /// All, in the order in which they came.
    std::vector<Entry>& entries() noexcept { return entries_; }

  private:
    // Where the key is, or the free slot where it would be.
    std::size_t slot_of(std::uint64_t hash, std::string_view key) const noexcept;
    void grow();

    std::vector<Entry> entries_;
    // Place in entries_ and one more; 0: free. A power of two of them, never all taken.
    std::vector<std::uint32_t> slots_ = std::vector<std::uint32_t>(8);
    std::size_t mask_ = 7;
};

}  // namespace asioserve::app
