#include "common/app/note.hpp"

#include "common/app/percent.hpp"

namespace asioserve::app {

Captures::Captures(const Plan& plan, const Exchange& x, const Note& note) {
    if (note.route == nullptr) return;
    if (!note.decoded && !note.route->many_captures) {
        views_ = note.captures;
        return;
    }
    const Pattern& pattern = plan.router.pattern(note.route->number);
    path_ = percent_decode(x.head().path);
    own_.resize(pattern.names().size());
    pattern.match(path_, own_);
    views_ = own_;
}

}  // namespace asioserve::app
