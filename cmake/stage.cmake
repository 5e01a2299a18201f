# What every CMakeLists.txt of this tree starts from: the top one and each stage's, which can be the top one too.
include_guard(GLOBAL)
get_filename_component(ASIOSERVE_ROOT ${CMAKE_CURRENT_LIST_DIR} DIRECTORY)
include(${CMAKE_CURRENT_LIST_DIR}/version.cmake)

include(${CMAKE_CURRENT_LIST_DIR}/compile.cmake)
enable_testing()
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

include(${CMAKE_CURRENT_LIST_DIR}/warnings.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/sanitizers.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/deps.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/python_package.cmake)
include(GoogleTest)

# asioserve_program(NAME sources...): a program of ours.
function(asioserve_program name)
    add_executable(${name} ${ARGN})
    target_include_directories(${name} PRIVATE ${ASIOSERVE_ROOT})
    target_link_libraries(${name} PRIVATE asioserve_warnings)
endfunction()

# asioserve_discover(name LABELS ... [TIMEOUT n] [PREFIX p]): the tests of a program that GoogleTest runs. CTest gives
# labels by name, whatever the folder: programs that share tests need a prefix each.
function(asioserve_discover name)
    cmake_parse_arguments(T "" "TIMEOUT;PREFIX" "LABELS" ${ARGN})
    if(NOT T_TIMEOUT)
        set(T_TIMEOUT 60)
    endif()
    gtest_discover_tests(${name} TEST_PREFIX "${T_PREFIX}" DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT ${T_TIMEOUT})
    # gtest_discover_tests would take all labels but the first for names of properties.
    set(labels ${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake)
    file(CONFIGURE OUTPUT ${labels} CONTENT
        "if(@name@_TESTS)\n  set_tests_properties(\${@name@_TESTS} PROPERTIES LABELS \"@T_LABELS@\")\nendif()\n" @ONLY)
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${labels})
endfunction()

# asioserve_gtest(NAME LABELS "a;b" SOURCES … LIBS … [PREFIX p]): a GoogleTest program; each TEST is a ctest with a time
# limit.
function(asioserve_gtest name)
    cmake_parse_arguments(T "" "PREFIX" "LABELS;SOURCES;LIBS" ${ARGN})
    asioserve_program(${name} ${T_SOURCES})
    target_link_libraries(${name} PRIVATE ${T_LIBS} GTest::gmock GTest::gtest GTest::gtest_main)
    asioserve_discover(${name} LABELS ${T_LABELS} PREFIX "${T_PREFIX}")
endfunction()

add_subdirectory(${ASIOSERVE_ROOT}/common ${CMAKE_BINARY_DIR}/common)

# The tests that every stage's runner passes, compiled once: only runner_under_test.cpp and
# python_main.cpp differ.
function(asioserve_contract)
    if(TARGET asioserve_contract)
        return()
    endif()
    set(sources runner_contract_test.cpp runner_tasks_test.cpp runner_yields_test.cpp runner_life_test.cpp
        seam_contract_test.cpp host.cpp source_handler.cpp recorded_exchange.cpp)
    list(TRANSFORM sources PREPEND ${ASIOSERVE_ROOT}/tests/contract/)
    add_library(asioserve_contract OBJECT ${sources})
    target_include_directories(asioserve_contract PUBLIC ${ASIOSERVE_ROOT})
    target_link_libraries(asioserve_contract PUBLIC asioserve_app GTest::gmock GTest::gtest PRIVATE asioserve_warnings)
endfunction()

# asioserve_stage(N sources...): stageN_runner (a library, for the contract tests) and stageN_server (the program).
function(asioserve_stage number)
    asioserve_library(stage${number}_runner ${ARGN})
    target_link_libraries(stage${number}_runner PUBLIC asioserve_app)
    asioserve_program(stage${number}_server main.cpp)
    target_link_libraries(stage${number}_server PRIVATE stage${number}_runner)
    # Extension modules of the interpreter look up its symbols in the program.
    set_target_properties(stage${number}_server PROPERTIES ENABLE_EXPORTS ON)
    if(NOT TARGET asioserve_fakes)
        add_subdirectory(${ASIOSERVE_ROOT}/tests/fakes ${CMAKE_BINARY_DIR}/tests/fakes)
    endif()
    asioserve_contract()
    asioserve_gtest(stage${number}_contract LABELS contract stage${number} PREFIX stage${number}.
        SOURCES ${ASIOSERVE_ROOT}/tests/contract/runner_under_test.cpp ${ASIOSERVE_ROOT}/tests/contract/python_main.cpp
        LIBS asioserve_contract stage${number}_runner)
    get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR} NAME)
    target_compile_definitions(stage${number}_contract PRIVATE STAGE_RUNNER_HEADER="${folder}/runner.hpp")
    # As for the server: extension modules look up the interpreter's symbols in the program.
    set_target_properties(stage${number}_contract PROPERTIES ENABLE_EXPORTS ON)
endfunction()

# asioserve_lesson(3.2 NAMES...): the tests of RunnerContract that show what a lesson promises: ctest -L lesson3.2.
function(asioserve_lesson lesson)
    string(SUBSTRING ${lesson} 0 1 number)
    set(labels ${CMAKE_CURRENT_BINARY_DIR}/lesson${lesson}_labels.cmake)
    list(TRANSFORM ARGN PREPEND stage${number}.RunnerContract.)
    list(JOIN ARGN " " tests)
    file(CONFIGURE OUTPUT ${labels} CONTENT
        "if(stage@number@_contract_TESTS)\n  set_tests_properties(@tests@ PROPERTIES LABELS lesson@lesson@)\nendif()\n" @ONLY)
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${labels})
endfunction()
