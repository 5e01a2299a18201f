#include "common/app/computation.hpp"

#include "common/python/errors.hpp"

namespace asioserve {

Outcome Outcome::raised_now() {
    py::gil.assert_held();
    return raised(py::take_raised());
}

}  // namespace asioserve
