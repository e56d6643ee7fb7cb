# Third-party targets. Provisional until third_party/ supplies the pinned ones.
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
foreach(target vulkan_headers glslang spirv_tools stb)
  if(NOT TARGET ito::${target})
    add_library(ito::${target} INTERFACE IMPORTED)
  endif()
endforeach()
