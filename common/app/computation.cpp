#include "common/app/computation.hpp"

#include "common/python/errors.hpp"

namespace asioserve {

Outcome Outcome::raised_now() {
    return raised(py::take_raised());
}

}  // namespace asioserve
