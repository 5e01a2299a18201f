# Every target of ours links `asioserve_warnings`; code that is not ours never does.
add_library(asioserve_warnings INTERFACE)
target_compile_options(asioserve_warnings INTERFACE -Wall -Wextra -Wconversion -Werror)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # The GIL and the thread roles are capabilities (common/python/gil.hpp): only Clang checks them.
    target_compile_options(asioserve_warnings INTERFACE -Wthread-safety)
endif()
