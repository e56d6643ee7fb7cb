# The library that engines link: ito::ito, shared with one exported symbol (include/ito/ito.h), or with ITO_SHARED=OFF
# the static one, and ito::static, which is there in any case.
add_library(ito_entry OBJECT ${PROJECT_SOURCE_DIR}/embed/api.cpp)
target_link_libraries(ito_entry PRIVATE ito_embed)

# Addresses that the loader adds the library's place to take 24 bytes each in the usual table and about one bit in the
# packed one, which loaders since glibc 2.36 read: a third of a megabyte. What runs here tells.
if(CMAKE_EXECUTABLE_FORMAT STREQUAL "ELF" AND NOT CMAKE_CROSSCOMPILING)
  include(CheckCXXSourceRuns)
  set(CMAKE_REQUIRED_FLAGS "-fPIE -pie")
  set(CMAKE_REQUIRED_LINK_OPTIONS -Wl,-z,pack-relative-relocs -Wl,--fatal-warnings)
  check_cxx_source_runs("static int x; int* volatile p[] = {&x, &x}; int main() { return p[1] != &x; }"
    ITO_PACKED_RELOCATIONS)
  unset(CMAKE_REQUIRED_FLAGS)
  unset(CMAKE_REQUIRED_LINK_OPTIONS)
endif()

if(ITO_SHARED)
  target_compile_definitions(ito_entry PRIVATE ITO_BUILD_SHARED)
  add_library(ito_library SHARED $<TARGET_OBJECTS:ito_entry>)
  set_target_properties(ito_library PROPERTIES
    OUTPUT_NAME ito EXPORT_NAME ito LINKER_LANGUAGE CXX
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  target_link_libraries(ito_library PRIVATE ito_embed)
  target_include_directories(ito_library INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
  if(CMAKE_EXECUTABLE_FORMAT STREQUAL "ELF")
    target_link_options(ito_library PRIVATE
      -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/library.map -Wl,--gc-sections
      $<$<BOOL:${ITO_PACKED_RELOCATIONS}>:-Wl,-z,pack-relative-relocs>
      $<$<NOT:$<BOOL:${ITO_SANITIZE}>>:-Wl,--no-undefined>) # what sanitizers call is in the program
    set_target_properties(ito_library PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/library.map)
  endif()
  add_library(ito::ito ALIAS ito_library)
endif()

include(${PROJECT_SOURCE_DIR}/cmake/static_library.cmake)
if(NOT ITO_SHARED)
  add_library(ito::ito ALIAS ito_static)
endif()

# ito.h includes <vulkan/vulkan_core.h>. Where the host has no Vulkan headers of its own, it gets those that Ito is
# built with; in Ito's own build each says what it takes.
if(NOT PROJECT_IS_TOP_LEVEL)
  get_target_property(vulkan_include ito::vulkan_headers INTERFACE_INCLUDE_DIRECTORIES)
  foreach(library ito_library ito_static)
    if(TARGET Vulkan::Headers AND TARGET ${library})
      target_link_libraries(${library} INTERFACE $<BUILD_INTERFACE:Vulkan::Headers>)
    elseif(TARGET ${library})
      target_include_directories(${library} SYSTEM INTERFACE $<BUILD_INTERFACE:${vulkan_include}>)
    endif()
  endforeach()
endif()
