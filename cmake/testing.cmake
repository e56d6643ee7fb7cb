# ito_vulkan_test(target labels...): registers a GoogleTest executable which needs a Vulkan device.
function(ito_vulkan_test target)
  add_test(NAME ${target} COMMAND ${PROJECT_SOURCE_DIR}/scripts/with-lavapipe $<TARGET_FILE:${target}>)
  set_tests_properties(${target} PROPERTIES LABELS "${ARGN}")
endfunction()
