# Third-party targets. The system's packages, or a Vulkan SDK (VULKAN_SDK), are used where they are
# new enough; third_party/fetch.sh supplies pinned ones into the user's cache folder where not
# (docs/decisions/0001-toolchain.md), unless ITO_FETCH is off. Defines ito::vulkan_headers, ito::stb,
# ito::pictures and, for ITO_COMPILER, ito::glslang and ito::spirv_tools; finds fmt, nlohmann_json, ZLIB,
# Threads, for the program CLI11 and for the tests GTest.
# The Vulkan loader is not linked: runtime/vk opens it at run time, or is given one by its host.

find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)

find_path(ITO_STB_INCLUDE stb_image_write.h PATH_SUFFIXES stb REQUIRED)
mark_as_advanced(ITO_STB_INCLUDE)
add_library(ito::stb INTERFACE IMPORTED)
target_include_directories(ito::stb SYSTEM INTERFACE ${ITO_STB_INCLUDE})

# What decodes pictures. libtiff 4.5 is the first with error handlers of their own for each file.
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(TIFF 4.5 REQUIRED)
find_package(GIF 5 REQUIRED)
find_path(ITO_WEBP_INCLUDE webp/demux.h REQUIRED)
find_library(ITO_WEBP_LIBRARY webp REQUIRED)
find_library(ITO_WEBP_DEMUX_LIBRARY webpdemux REQUIRED)
mark_as_advanced(ITO_WEBP_INCLUDE ITO_WEBP_LIBRARY ITO_WEBP_DEMUX_LIBRARY)
add_library(ito::pictures INTERFACE IMPORTED)
target_include_directories(ito::pictures SYSTEM INTERFACE ${ITO_WEBP_INCLUDE})
target_link_libraries(ito::pictures INTERFACE PNG::PNG JPEG::JPEG TIFF::TIFF GIF::GIF
  ${ITO_WEBP_DEMUX_LIBRARY} ${ITO_WEBP_LIBRARY})

# The readers' fuzzer has no device.
if(ITO_FUZZ)
  return()
endif()

set(ITO_VULKAN_HEADERS_VERSION 1.4.309) # VK_NV_cooperative_matrix2 and VK_KHR_cooperative_matrix
set(ITO_GLSLANG_VERSION 15.1)           # GL_KHR_cooperative_matrix, GL_NV_cooperative_matrix2

# ito_fetch(NAME VERSION WHERE RESULT): the folder into which third_party/fetch.sh has put NAME. Where it may not
# be asked, an error says that VERSION is needed and WHERE to name it.
function(ito_fetch name version where result)
  if(NOT ITO_FETCH)
    message(FATAL_ERROR "Ito needs ${name} ${version} or newer, and there is none: name it by ${where} or by the "
      "environment's VULKAN_SDK, or let Ito fetch it by -DITO_FETCH=ON")
  endif()
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env CXX=${CMAKE_CXX_COMPILER} ${PROJECT_SOURCE_DIR}/third_party/fetch.sh ${name}
    OUTPUT_VARIABLE folder OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "third_party/fetch.sh could not supply ${name}; its message is above")
  endif()
  set(${result} ${folder} PARENT_SCOPE)
endfunction()

# ito_vulkan_headers_version(FOLDER RESULT): the version that FOLDER/vulkan/vulkan_core.h declares,
# or 0 where there is none.
function(ito_vulkan_headers_version folder result)
  set(version 0)
  if(EXISTS ${folder}/vulkan/vulkan_core.h)
    file(STRINGS ${folder}/vulkan/vulkan_core.h lines REGEX "#define VK_HEADER_VERSION")
    string(REGEX MATCH "VK_HEADER_VERSION ([0-9]+)" _ "${lines}")
    set(patch ${CMAKE_MATCH_1})
    string(REGEX MATCH "VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION\\(0, ([0-9]+), ([0-9]+)" _ "${lines}")
    set(version ${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.${patch})
  endif()
  set(${result} ${version} PARENT_SCOPE)
endfunction()

set(sdk $ENV{VULKAN_SDK})
if(sdk)
  list(PREPEND CMAKE_PREFIX_PATH ${sdk})
endif()

find_path(ITO_SYSTEM_VULKAN_INCLUDE vulkan/vulkan_core.h HINTS ${sdk}/include)
mark_as_advanced(ITO_SYSTEM_VULKAN_INCLUDE)
ito_vulkan_headers_version("${ITO_SYSTEM_VULKAN_INCLUDE}" version)
if(version VERSION_GREATER_EQUAL ITO_VULKAN_HEADERS_VERSION)
  set(include ${ITO_SYSTEM_VULKAN_INCLUDE})
else()
  ito_fetch(vulkan-headers ${ITO_VULKAN_HEADERS_VERSION} -DITO_SYSTEM_VULKAN_INCLUDE=<folder> folder)
  set(include ${folder}/include)
  ito_vulkan_headers_version(${include} version)
endif()
message(STATUS "Vulkan headers ${version}: ${include}")
add_library(ito::vulkan_headers INTERFACE IMPORTED)
target_include_directories(ito::vulkan_headers INTERFACE ${include})
target_compile_definitions(ito::vulkan_headers INTERFACE VK_NO_PROTOTYPES=)

find_package(Threads REQUIRED)
if(ITO_COMPILER)
  # Its package accepts a request for its own major version only.
  foreach(version ${ITO_GLSLANG_VERSION} 16)
    find_package(glslang ${version} CONFIG QUIET)
    if(glslang_FOUND)
      break()
    endif()
  endforeach()
  if(NOT glslang_FOUND)
    ito_fetch(glslang ${ITO_GLSLANG_VERSION} -Dglslang_DIR=<folder> folder)
    find_package(glslang ${ITO_GLSLANG_VERSION} CONFIG REQUIRED PATHS ${folder} NO_DEFAULT_PATH)
  endif()
  message(STATUS "glslang ${glslang_VERSION}: ${glslang_DIR}")
  add_library(ito::glslang INTERFACE IMPORTED)
  target_link_libraries(ito::glslang INTERFACE glslang::glslang glslang::glslang-default-resource-limits)
  if(TARGET glslang::SPIRV)
    target_link_libraries(ito::glslang INTERFACE glslang::SPIRV)
  endif()

  find_package(SPIRV-Tools CONFIG REQUIRED)
  find_package(SPIRV-Tools-opt CONFIG REQUIRED)
  message(STATUS "SPIRV-Tools: ${SPIRV-Tools_DIR}")
  add_library(ito::spirv_tools INTERFACE IMPORTED)
  target_link_libraries(ito::spirv_tools INTERFACE SPIRV-Tools-opt)
  if(TARGET SPIRV-Tools-static)
    target_link_libraries(ito::spirv_tools INTERFACE SPIRV-Tools-static)
  else()
    target_link_libraries(ito::spirv_tools INTERFACE SPIRV-Tools)
  endif()
endif()

if(ITO_APPS)
  find_package(CLI11 REQUIRED)
endif()
if(ITO_TESTS)
  find_package(GTest REQUIRED)
endif()
