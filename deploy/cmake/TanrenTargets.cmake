# One target for each folder, with the same rules for all of them.

add_library(tanren_options INTERFACE)
target_include_directories(tanren_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_options(tanren_options INTERFACE -Wall -Wextra -Wno-unused-parameter
  -Wno-missing-field-initializers)
if(TANREN_WARNINGS_ARE_ERRORS)
  target_compile_options(tanren_options INTERFACE -Werror)
endif()
# CMake would compile programs with -fPIE and libraries with -fPIC; with one flag for both they can
# share a precompiled header.
target_compile_options(tanren_options INTERFACE -fPIC)
# g++ 12 reports these two inside inlined standard-library code that is sound.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  target_compile_options(tanren_options INTERFACE -Wno-maybe-uninitialized -Wno-restrict)
endif()
if(TANREN_SANITIZER)
  target_compile_options(tanren_options INTERFACE -fsanitize=${TANREN_SANITIZER} -fno-omit-frame-pointer)
  target_link_options(tanren_options INTERFACE -fsanitize=${TANREN_SANITIZER})
endif()
# UBSan would print what it finds and let the test pass.
if(TANREN_SANITIZER MATCHES undefined)
  target_compile_options(tanren_options INTERFACE -fno-sanitize-recover=undefined)
endif()

# Every program has it, whole, so that it comes before abseil's library.
if(TANREN_SANITIZER MATCHES thread AND TANREN_BUILD_COORDINATOR)
  add_library(tanren_abseil_locks STATIC ${CMAKE_CURRENT_LIST_DIR}/abseil_locks.cc)
  target_link_libraries(tanren_options INTERFACE
    $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:$<LINK_LIBRARY:WHOLE_ARCHIVE,tanren_abseil_locks>>
    ${CMAKE_DL_LIBS})
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    ${CCACHE_PROGRAM})
endif()
foreach(linker IN ITEMS mold lld)
  find_program(TANREN_LINKER_${linker} NAMES ${linker} ld.${linker})
  if(TANREN_LINKER_${linker})
    add_link_options(-fuse-ld=${linker})
    break()
  endif()
endforeach()

# One precompiled header for everything that sees libtorch: it takes a file from 19 s to 3 s.
if(TANREN_WITH_TORCH)
  file(WRITE ${PROJECT_BINARY_DIR}/torch_pch.cc "")
  add_library(tanren_torch_pch STATIC ${PROJECT_BINARY_DIR}/torch_pch.cc)
  target_link_libraries(tanren_torch_pch PUBLIC tanren_options tanren_torch)
  target_compile_options(tanren_torch_pch PRIVATE -fpch-preprocess)
  target_precompile_headers(tanren_torch_pch PRIVATE <ATen/ATen.h> <torch/csrc/autograd/custom_function.h>
    <algorithm> <functional> <map> <memory> <optional> <span> <string> <vector>)
endif()

# The same for tests, with GoogleTest in it. What is tested is optimised; the tests themselves are
# compiled a third faster without. Sanitizers' flags differ between targets, which no precompiled
# header allows.
set(tanren_test_options)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND NOT TANREN_SANITIZER)
  set(tanren_test_options -O0)
endif()
function(tanren_test_header NAME)
  file(WRITE ${PROJECT_BINARY_DIR}/${NAME}.cc "")
  add_library(${NAME} STATIC ${PROJECT_BINARY_DIR}/${NAME}.cc)
  target_link_libraries(${NAME} PUBLIC tanren_options GTest::gmock GTest::gtest ${ARGN})
  target_compile_options(${NAME} PRIVATE -fpch-preprocess ${tanren_test_options})
endfunction()
if(TANREN_BUILD_TESTS AND NOT TANREN_SANITIZER)
  tanren_test_header(tanren_test_pch)
  target_precompile_headers(tanren_test_pch PRIVATE <gmock/gmock.h> <gtest/gtest.h>
    <algorithm> <filesystem> <functional> <map> <memory> <optional> <span> <string> <vector>)
endif()
if(TANREN_BUILD_TESTS AND TANREN_WITH_TORCH)
  tanren_test_header(tanren_torch_test_pch tanren_torch)
  target_precompile_headers(tanren_torch_test_pch PRIVATE <ATen/ATen.h>
    <torch/csrc/autograd/custom_function.h> <gmock/gmock.h> <gtest/gtest.h>
    <algorithm> <filesystem> <functional> <map> <memory> <optional> <span> <string> <vector>)
endif()

# tanren_library(NAME SOURCES ... [DEPENDS ...] [TORCH])
# DEPENDS are public; TORCH compiles with libtorch's precompiled header.
function(tanren_library NAME)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${NAME} STATIC ${ARG_SOURCES})
  target_link_libraries(${NAME} PUBLIC tanren_options ${ARG_DEPENDS})
  if(ARG_TORCH)
    target_link_libraries(${NAME} PUBLIC tanren_torch)
    target_compile_options(${NAME} PRIVATE -fpch-preprocess)
    target_precompile_headers(${NAME} REUSE_FROM tanren_torch_pch)
  endif()
endfunction()

# What a test's program and what several stand on have in common: precompiled headers, and little optimisation.
function(tanren_compile_as_test NAME IS_TORCH)
  target_link_libraries(${NAME} PUBLIC tanren_options GTest::gmock GTest::gtest)
  if(IS_TORCH)
    target_link_libraries(${NAME} PUBLIC tanren_torch)
    target_precompile_headers(${NAME} REUSE_FROM tanren_torch_test_pch)
  elseif(TARGET tanren_test_pch)
    target_precompile_headers(${NAME} REUSE_FROM tanren_test_pch)
  endif()
  target_compile_options(${NAME} PRIVATE -fpch-preprocess ${tanren_test_options})
endfunction()

# tanren_test_library(NAME SOURCES ... [DEPENDS ...] [TORCH]): what several tests stand on, compiled once.
function(tanren_test_library NAME)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${NAME} STATIC ${ARG_SOURCES})
  target_link_libraries(${NAME} PUBLIC ${ARG_DEPENDS})
  tanren_compile_as_test(${NAME} ${ARG_TORCH})
endfunction()

# tanren_test(NAME SOURCES ... [DEPENDS ...] [LABELS ...] [TORCH]): one GoogleTest program, each
# test a ctest test; the working directory is the source tree.
function(tanren_test NAME)
  cmake_parse_arguments(ARG "TORCH" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PUBLIC ${ARG_DEPENDS} GTest::gtest_main)
  tanren_compile_as_test(${NAME} ${ARG_TORCH})
  add_test(NAME ${NAME} COMMAND ${NAME} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${NAME} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  # Threads that spin at a barrier take the time of those they wait for where tests run beside each other.
  if(ARG_TORCH)
    set_tests_properties(${NAME} PROPERTIES ENVIRONMENT OMP_WAIT_POLICY=passive)
  endif()
  if("serial" IN_LIST ARG_LABELS)
    set_tests_properties(${NAME} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()
