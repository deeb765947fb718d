# One folder is one library: touka_library() takes every .cpp below the folder it is called in, and makes
# of  *_test.cpp   one test program <library>_test,
#     *_fuzz.cpp   one fuzz target each (libFuzzer under -DTOUKA_FUZZ=ON, else a program that replays the
#                  corpus beside it: corpus/<name>/*, run by ctest with the label "fuzz"),
#     *_bench.cpp  one Google Benchmark program <library>_bench.
# A folder below that has a CMakeLists.txt of its own is a library of its own and left out here.

# Tests, more than half of all that is compiled: less optimised they take a third less time to be so.
set(TOUKA_TEST_OPTIONS $<$<CONFIG:RelWithDebInfo>:-O1>)

option(TOUKA_FUZZ "Build fuzz targets for libFuzzer (needs clang)" OFF)
set(TOUKA_SANITIZE "" CACHE STRING "Sanitizers to build with, as for -fsanitize=")

add_library(touka_options INTERFACE)
target_compile_options(touka_options INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wold-style-cast -Werror)
target_include_directories(touka_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Members have defaults of their own here; clang warns of them all the same, gcc does not.
    target_compile_options(touka_options INTERFACE -Wno-missing-field-initializers)
endif()
if(TOUKA_SANITIZE)
    target_compile_options(touka_options INTERFACE
        -fsanitize=${TOUKA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    # Our own checks and the standard library's belong to the same runs; optimised builds define NDEBUG.
    target_compile_options(touka_options INTERFACE -UNDEBUG -D_GLIBCXX_ASSERTIONS)
    target_link_options(touka_options INTERFACE -fsanitize=${TOUKA_SANITIZE})
    # A fence orders what another device or process sees; the thread sanitizer, which does not know fences, loses nothing by it.
    target_compile_options(touka_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
endif()
if(TOUKA_FUZZ)
    target_compile_options(touka_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Sources below the current folder, without those of nested libraries.
function(touka_sources out)
    file(GLOB_RECURSE all CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
    file(GLOB_RECURSE nested CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*/CMakeLists.txt)
    foreach(list_file IN LISTS nested)
        get_filename_component(folder ${list_file} DIRECTORY)
        list(FILTER all EXCLUDE REGEX "^${folder}/")
    endforeach()
    set(${out} ${all} PARENT_SCOPE)
endfunction()

if(NOT TOUKA_FUZZ)
    add_library(touka_replay_corpus OBJECT ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_corpus.cpp)
    target_link_libraries(touka_replay_corpus PRIVATE touka_options)
endif()

function(touka_fuzz_target source)
    get_filename_component(name ${source} NAME_WE)
    get_filename_component(folder ${source} DIRECTORY)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE touka_options ${ARGN})
    if(TOUKA_FUZZ)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    else()
        target_compile_options(${name} PRIVATE ${TOUKA_TEST_OPTIONS})
        target_link_libraries(${name} PRIVATE touka_replay_corpus)
        add_test(NAME ${name} COMMAND ${name} ${folder}/corpus/${name})
        set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 120)
    endif()
endfunction()

# touka_library(<target> [DEPENDS <target>...] [TEST_DEPENDS <target>...])
function(touka_library target)
    cmake_parse_arguments(ARG "" "" "DEPENDS;TEST_DEPENDS" ${ARGN})
    touka_sources(sources)
    set(tests ${sources})
    list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
    set(fuzzers ${sources})
    list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cpp$")
    set(benches ${sources})
    list(FILTER benches INCLUDE REGEX "_bench\\.cpp$")
    list(FILTER sources EXCLUDE REGEX "_(test|fuzz|bench)\\.cpp$")

    if(sources)
        add_library(${target} STATIC ${sources})
        target_link_libraries(${target} PRIVATE touka_options PUBLIC ${ARG_DEPENDS} fmt::fmt)
        target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    else()
        add_library(${target} INTERFACE)
        target_link_libraries(${target} INTERFACE ${ARG_DEPENDS} fmt::fmt)
        target_include_directories(${target} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    endif()
    if(tests)
        add_executable(${target}_test ${tests})
        target_compile_options(${target}_test PRIVATE ${TOUKA_TEST_OPTIONS})
        target_link_libraries(${target}_test PRIVATE
            touka_options ${target} ${ARG_TEST_DEPENDS} GTest::gmock GTest::gtest_main)
        gtest_discover_tests(${target}_test DISCOVERY_MODE PRE_TEST
            PROPERTIES LABELS unit TIMEOUT 120)
    endif()
    foreach(fuzzer IN LISTS fuzzers)
        touka_fuzz_target(${fuzzer} ${target} ${ARG_TEST_DEPENDS})
    endforeach()
    if(benches)
        add_executable(${target}_bench ${benches})
        # Fixtures of tests serve here, too.
        target_link_libraries(${target}_bench PRIVATE
            touka_options ${target} ${ARG_TEST_DEPENDS} GTest::gtest benchmark::benchmark_main)
    endif()
endfunction()
