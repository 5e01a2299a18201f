# Asio: compiled once (separate compilation), as every header-only include costs seconds.
find_path(ASIO_INCLUDE_DIR asio.hpp)
if(NOT ASIO_INCLUDE_DIR)
    message(FATAL_ERROR "Asio's headers are missing: apt-get install libasio-dev")
endif()
add_library(asio_lib STATIC ${CMAKE_CURRENT_LIST_DIR}/asio.cpp)
target_include_directories(asio_lib SYSTEM PUBLIC ${ASIO_INCLUDE_DIR})
target_compile_definitions(asio_lib PUBLIC ASIO_SEPARATE_COMPILATION ASIO_NO_DEPRECATED)
# Asio 1.22 decides on aligned_alloc by whether a header of libstdc++ came before its own: one file would allocate by
# aligned_alloc what another gives to operator delete.
target_compile_definitions(asio_lib PUBLIC ASIO_HAS_STD_ALIGNED_ALLOC=1)
target_link_libraries(asio_lib PUBLIC Threads::Threads)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # Asio 1.22 knows only clang's old experimental coroutines; without these there is no asio::awaitable.
    target_compile_definitions(asio_lib PUBLIC ASIO_HAS_CO_AWAIT=1 ASIO_HAS_STD_COROUTINE=1)
endif()
