# What is not ours: found once, wrapped in targets whose warnings are off.
find_package(Threads REQUIRED)

include(${CMAKE_CURRENT_LIST_DIR}/asio.cmake)

# --- llhttp: Debian ships sources (package node-llhttp), not a library --------------------------------------
find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH REQUIRED)
find_path(LLHTTP_INCLUDE_DIR llhttp.h PATHS /usr/share/include/llhttp NO_DEFAULT_PATH REQUIRED)
add_library(llhttp STATIC ${LLHTTP_SOURCE_DIR}/llhttp.c ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c)
target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
# Users need it too: the header declares other fields without it.
target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
target_compile_options(llhttp PRIVATE -w)

find_package(spdlog CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(GTest REQUIRED)

# --- Python: scripts/setup.sh passes an explicit Python_EXECUTABLE ------------------------------------------
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Embed Development.Module)
if(Python_VERSION VERSION_GREATER_EQUAL 3.15)
    message(FATAL_ERROR "Python ${Python_VERSION} at ${Python_EXECUTABLE} is newer than 3.14, which this knows")
endif()
execute_process(
    COMMAND ${Python_EXECUTABLE} -c "import sysconfig; print(sysconfig.get_config_var('Py_ENABLE_SHARED'))"
    OUTPUT_VARIABLE python_shared OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT python_shared STREQUAL "1")
    message(FATAL_ERROR "Python at ${Python_EXECUTABLE} has no shared library: extension modules would bring a "
                        "second interpreter. Use Debian's python3, or build yours with --enable-shared.")
endif()
# pybind11 from the build environment, never Debian's 2.10, which is too old for 3.12 and would be found first.
set(PYBIND11_FINDPYTHON ON)
if(NOT pybind11_DIR)
    execute_process(
        COMMAND ${Python_EXECUTABLE} -m pybind11 --cmakedir
        OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT pybind11_DIR)
    message(FATAL_ERROR "pybind11 3 is missing for ${Python_EXECUTABLE}: run ./test.sh or ./bench.sh once, or "
                        "pip install 'pybind11>=3,<4' there")
endif()
find_package(pybind11 3 CONFIG REQUIRED)
