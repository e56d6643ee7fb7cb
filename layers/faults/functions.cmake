# The commands of Vulkan that act on an instance, a physical device, a device, a queue or a command buffer, as
# HEADER (vulkan_core.h) declares them, a row FUNCTION(vkName) each: into FOLDER/vulkan_device_functions.inc, and
# with vkCreateInstance before them into FOLDER/vulkan_functions.inc:
#   cmake -DHEADER=... -DFOLDER=... -P functions.cmake
# So the layer knows all that the headers know which it is built with.
file(STRINGS ${HEADER} lines REGEX
  "^typedef .*VKAPI_PTR \\*PFN_vk[A-Za-z0-9]+\\)\\((VkInstance|VkPhysicalDevice|VkDevice|VkQueue|VkCommandBuffer) ")
set(rows "")
foreach(line IN LISTS lines)
  string(REGEX MATCH "[*]PFN_(vk[A-Za-z0-9]+)" _ "${line}")
  if(NOT CMAKE_MATCH_1 STREQUAL "vkGetInstanceProcAddrLUNARG")
    string(APPEND rows "FUNCTION(${CMAKE_MATCH_1})\n")
  endif()
endforeach()
if(rows STREQUAL "")
  message(FATAL_ERROR "${HEADER} declares no function in the form that functions.cmake knows")
endif()
file(CONFIGURE OUTPUT ${FOLDER}/vulkan_device_functions.inc CONTENT "${rows}" @ONLY)
file(CONFIGURE OUTPUT ${FOLDER}/vulkan_functions.inc CONTENT "FUNCTION(vkCreateInstance)\n${rows}" @ONLY)
