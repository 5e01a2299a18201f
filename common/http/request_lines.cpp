#include "common/http/request_lines.hpp"

namespace asioserve::http {

void RequestLines::spill(std::string_view name) {
    if (more_.empty()) more_.assign(fields_.begin(), fields_.end());
    more_.push_back({name, {}});
}

void RequestLines::relocate(std::ptrdiff_t distance) noexcept {
    const auto move = [distance](std::string_view& view) {
        if (view.data()) view = {view.data() + distance, view.size()};
    };
    move(target);
    for (std::size_t i = 0; i < count_; ++i) {
        Header& h = more_.empty() ? fields_[i] : more_[i];
        move(h.name);
        move(h.value);
    }
}

}  // namespace asioserve::http
