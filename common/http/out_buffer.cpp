#include "common/http/out_buffer.hpp"

#include <algorithm>

namespace asioserve::http {

void OutBuffer::grow(BlockPool& pool, std::size_t bytes) {
    const std::size_t have = size();
    const std::size_t need = have + bytes;
    if (block_ && need <= block_->capacity && begin_ >= have) {  // what is left fits in front: slide it there
        std::memcpy(block_->data(), block_->data() + begin_, have);
    } else {
        // Doubling keeps a stream of small writes linear.
        const std::size_t room = have == 0 ? need : std::max(need, 2 * block_->capacity);
        BlockRef bigger(pool, pool.take(room));
        if (have != 0) std::memcpy(bigger->data(), data(), have);
        block_ = std::move(bigger);
    }
    begin_ = 0;
    end_ = have;
}

}  // namespace asioserve::http
