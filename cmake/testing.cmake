# ito_vulkan_test(TARGET [WIDE] [PORTABLE FILTER] [LABEL...]): registers a GoogleTest executable that
# needs a Vulkan device with ctest.
#   TARGET                    on the current lavapipe, whole
#   TARGET_wide               (WIDE) the same with 512-bit vectors, that is, subgroups of 16
#   TARGET_swiftshader        \ label `portability`: the tests that FILTER names (by default the
#   TARGET_system_lavapipe    / suites called *Portable*), on two other implementations
# A CPU driver uses every core, so no two of these run at a time. ITO_VALIDATION=1 in ctest's
# environment runs them under the validation layers. A child that such a test starts and that needs
# the device is started through $ITO_LAUNCHER, where that is set (scripts/with-lavapipe).
function(ito_vulkan_test target)
  cmake_parse_arguments(ARG "WIDE" "PORTABLE" "" ${ARGN})
  if(NOT ARG_PORTABLE)
    set(ARG_PORTABLE "*Portable*")
  endif()
  set(scripts ${PROJECT_SOURCE_DIR}/scripts)

  add_test(NAME ${target} COMMAND ${scripts}/with-lavapipe $<TARGET_FILE:${target}>)
  set(tests ${target})
  if(ARG_WIDE)
    add_test(NAME ${target}_wide COMMAND ${scripts}/with-lavapipe $<TARGET_FILE:${target}>)
    set_tests_properties(${target}_wide PROPERTIES ENVIRONMENT LP_NATIVE_VECTOR_WIDTH=512)
    list(APPEND tests ${target}_wide)
  endif()
  set_tests_properties(${tests} PROPERTIES LABELS "vulkan;${ARG_UNPARSED_ARGUMENTS}")

  foreach(driver swiftshader system-lavapipe)
    string(REPLACE - _ name ${target}_${driver})
    add_test(NAME ${name}
      COMMAND ${scripts}/with-${driver} $<TARGET_FILE:${target}> --gtest_filter=${ARG_PORTABLE})
    set_tests_properties(${name} PROPERTIES
      LABELS "portability;${ARG_UNPARSED_ARGUMENTS}"
      SKIP_REGULAR_EXPRESSION "Running 0 tests from 0 test suites")
    list(APPEND tests ${name})
  endforeach()

  set_tests_properties(${tests} PROPERTIES RESOURCE_LOCK vulkan PROCESSORS 2 TIMEOUT 1800)
endfunction()
