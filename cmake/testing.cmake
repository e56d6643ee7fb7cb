# How tests that need a Vulkan device are registered with ctest. Most of their time goes into compiling
# shaders, on one thread, so a GoogleTest executable is started in several shards (GoogleTest deals its
# tests out), and ctest runs as many shards side by side as the machine has cores. What one process has
# compiled another finds: Ito's and Mesa's disk caches lie in the user's cache folder and are shared.

set(ITO_TEST_SHARDS 6 CACHE STRING "Processes into which the tests of an executable are dealt")

# With 512-bit vectors lavapipe's subgroups are 16 wide instead of 8. Where the processor has none,
# compiling for them takes twice as long, and only a named sample runs.
if(EXISTS /proc/cpuinfo)
  file(STRINGS /proc/cpuinfo cpu_flags REGEX "^flags.* avx512f( |$)" LIMIT_COUNT 1)
endif()
if(cpu_flags)
  set(wide_default all)
else()
  set(wide_default sample)
endif()
set(ITO_WIDE_TESTS ${wide_default} CACHE STRING "Tests with 512-bit vectors: all, or sample")
unset(cpu_flags)
unset(wide_default)

# ito_vulkan_test(TARGET [WIDE FILTER WIDE_SAMPLE FILTER] [PORTABLE FILTER] [ELSEWHERE FILTER]
#                 [COST SECONDS] [LABEL...]):
#   TARGET.I                  on the current lavapipe, in shards: all but ELSEWHERE, which names tests that
#                             have entries of their own
#   TARGET_wide.I             (WIDE) the tests that depend on the vectors' width, with 512-bit ones, without the
#                             validation layers, which see the same kernels with 256-bit ones; of these only
#                             WIDE_SAMPLE, and a line that says so, where the processor has none
#   TARGET_swiftshader        \ label `portability`: the tests that FILTER names (by default the
#   TARGET_system_lavapipe    / suites called *Portable*), on two other implementations
# ITO_VALIDATION=1 in ctest's environment runs them under the validation layers. A child that such a
# test starts and that needs the device is started through $ITO_LAUNCHER, where that is set
# (scripts/with-lavapipe).
function(ito_vulkan_test target)
  cmake_parse_arguments(ARG "" "WIDE;WIDE_SAMPLE;PORTABLE;ELSEWHERE;COST" "" ${ARGN})
  if(NOT ARG_PORTABLE)
    set(ARG_PORTABLE "*Portable*")
  endif()
  if(NOT ARG_COST)
    set(ARG_COST 100)
  endif()
  set(scripts ${PROJECT_SOURCE_DIR}/scripts)
  set(labels "vulkan;${ARG_UNPARSED_ARGUMENTS}")

  if(ARG_ELSEWHERE)
    set(without "-${ARG_ELSEWHERE}")
  endif()
  ito_sharded_test(${target} COST ${ARG_COST} LABELS ${labels}
    COMMAND ${scripts}/with-lavapipe $<TARGET_FILE:${target}> --gtest_filter=*${without})
  if(ARG_WIDE AND ITO_WIDE_TESTS STREQUAL "all")
    ito_sharded_test(${target}_wide COST ${ARG_COST} LABELS ${labels}
      ENVIRONMENT LP_NATIVE_VECTOR_WIDTH=512 ITO_VALIDATION=0
      COMMAND ${scripts}/with-lavapipe $<TARGET_FILE:${target}> --gtest_filter=${ARG_WIDE})
  elseif(ARG_WIDE)
    ito_sharded_test(${target}_wide COST ${ARG_COST} LABELS ${labels}
      ENVIRONMENT LP_NATIVE_VECTOR_WIDTH=512 ITO_VALIDATION=0
      COMMAND ${scripts}/lib/sample-of-tests "${ARG_WIDE}" "${ARG_WIDE_SAMPLE}"
              "without AVX-512 a sample runs with 512-bit vectors"
              ${scripts}/with-lavapipe $<TARGET_FILE:${target}>)
  endif()

  foreach(driver swiftshader system-lavapipe)
    string(REPLACE - _ name ${target}_${driver})
    add_test(NAME ${name}
      COMMAND ${scripts}/with-${driver} $<TARGET_FILE:${target}> --gtest_filter=${ARG_PORTABLE})
    set_tests_properties(${name} PROPERTIES LABELS "portability;${ARG_UNPARSED_ARGUMENTS}" TIMEOUT 1800
      SKIP_REGULAR_EXPRESSION "Running 0 tests from 0 test suites")
  endforeach()
endfunction()

# ito_sharded_test(NAME COMMAND ... COST SECONDS [ENVIRONMENT ...] [LABELS ...]): NAME.0, NAME.1, ...;
# dear ones start first.
function(ito_sharded_test name)
  cmake_parse_arguments(ARG "" "COST" "COMMAND;ENVIRONMENT;LABELS" ${ARGN})
  math(EXPR last "${ITO_TEST_SHARDS} - 1")
  foreach(shard RANGE ${last})
    add_test(NAME ${name}.${shard} COMMAND ${ARG_COMMAND})
    set_tests_properties(${name}.${shard} PROPERTIES LABELS "${ARG_LABELS}" COST ${ARG_COST} TIMEOUT 1800
      ENVIRONMENT "GTEST_TOTAL_SHARDS=${ITO_TEST_SHARDS};GTEST_SHARD_INDEX=${shard};${ARG_ENVIRONMENT}")
  endforeach()
endfunction()
