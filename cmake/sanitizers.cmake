# ASIOSERVE_SANITIZE is "", "address,undefined" or "thread"; the presets set it.
set(ASIOSERVE_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=")
option(ASIOSERVE_COVERAGE "instrument for gcov" OFF)
if(ASIOSERVE_SANITIZE)
    add_compile_options(-fsanitize=${ASIOSERVE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${ASIOSERVE_SANITIZE})
    if(ASIOSERVE_SANITIZE MATCHES "undefined")
        # It reads an object's memory through a pipe, and takes the object for a wrong one when no descriptor is left for
        # that: a server that survives EMFILE was ended by it.
        add_compile_options(-fno-sanitize=vptr)
    endif()
    if(ASIOSERVE_SANITIZE MATCHES "thread")
        # TSan does not follow fences (GCC refuses them); Asio's queues are ordered by their mutexes already.
        add_compile_definitions(ASIO_DISABLE_FENCED_BLOCK)
    endif()
endif()
if(ASIOSERVE_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()
