# The rooms of docs/tour.md, one static library each, linked only as its arrows run, and how each is compiled.
function(ito_room name)
  cmake_parse_arguments(ARG "" "EXCLUDE" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${ARG_UNPARSED_ARGUMENTS}/*.cpp)
  if(ARG_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "${ARG_EXCLUDE}")
  endif()
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} INTERFACE ${ARG_PUBLIC})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  ito_compile_together(${name})
endfunction()

if(WIN32)
  set(other_system posix)
else()
  set(other_system windows)
endif()
ito_room(ito_base base EXCLUDE "/platform_${other_system}.cpp" PUBLIC fmt::fmt PRIVATE ${CMAKE_DL_LIBS})
# Their headers have macros of all kinds.
set_source_files_properties(${PROJECT_SOURCE_DIR}/base/platform_posix.cpp
  ${PROJECT_SOURCE_DIR}/base/platform_windows.cpp ${PROJECT_SOURCE_DIR}/ranks/local_ranks_posix.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
ito_room(ito_graph graph PUBLIC ito_base)
# Shader functions travel inside the binary.
file(GLOB shader_library CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/shaders/lib/*.glsl)
list(JOIN shader_library "," shader_library_list)
add_custom_command(
  OUTPUT ${PROJECT_BINARY_DIR}/glsl_files.cpp
  COMMAND ${CMAKE_COMMAND} -DOUTPUT=${PROJECT_BINARY_DIR}/glsl_files.cpp
          -DSOURCE_FILES=${shader_library_list} -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${shader_library} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  VERBATIM)
target_sources(ito_graph PRIVATE ${PROJECT_BINARY_DIR}/glsl_files.cpp)
# The compiler of kernels, or what says that there is none, is chosen where all is linked, by the property
# ITO_WITHOUT_COMPILER of who links: libraries with and without one are made of the same objects.
ito_room(ito_vk runtime/vk EXCLUDE "/(glsl|without)_compiler.cpp" PUBLIC ito_base ito::vulkan_headers)
add_library(ito_without_compiler STATIC ${PROJECT_SOURCE_DIR}/runtime/vk/without_compiler.cpp)
target_link_libraries(ito_without_compiler PRIVATE ito_base ito::vulkan_headers)
if(ITO_COMPILER)
  add_library(ito_glsl STATIC ${PROJECT_SOURCE_DIR}/runtime/vk/glsl_compiler.cpp)
  target_link_libraries(ito_glsl PRIVATE ito_base ito::vulkan_headers ito::glslang ito::spirv_tools)
  target_link_libraries(ito_vk PRIVATE
    $<IF:$<BOOL:$<TARGET_PROPERTY:ITO_WITHOUT_COMPILER>>,ito_without_compiler,ito_glsl>)
else()
  target_link_libraries(ito_vk PRIVATE ito_without_compiler)
endif()
ito_room(ito_runtime runtime EXCLUDE "/runtime/vk/" PUBLIC ito_vk ito_graph)
ito_room(ito_nn nn PUBLIC ito_graph)
ito_room(ito_diffusion diffusion PUBLIC ito_graph)
ito_room(ito_io io PUBLIC ito_base nlohmann_json::nlohmann_json PRIVATE ZLIB::ZLIB ito::stb ito::pictures)
ito_room(ito_plots plots PUBLIC ito_io)
ito_room(ito_statistics statistics PUBLIC ito_base)
ito_room(ito_ranks ranks EXCLUDE "/local_ranks_${other_system}.cpp" PUBLIC ito_base)
ito_room(ito_api api PUBLIC ito_runtime ito_nn ito_diffusion ito_io ito_plots ito_statistics ito_ranks)
if(ITO_APPS)
  ito_room(ito_studies studies PUBLIC ito_api)
endif()
ito_room(ito_embed embed EXCLUDE "/embed/(api|train_job|without_trainings).cpp" PUBLIC ito_api ito::vulkan_headers)
# Trainings are chosen as the compiler is, without which there are none.
add_library(ito_without_trainings STATIC ${PROJECT_SOURCE_DIR}/embed/without_trainings.cpp)
target_link_libraries(ito_without_trainings PRIVATE ito_embed)
if(ITO_COMPILER)
  add_library(ito_trainings STATIC ${PROJECT_SOURCE_DIR}/embed/train_job.cpp)
  target_link_libraries(ito_trainings PRIVATE ito_embed)
  target_link_libraries(ito_embed PRIVATE
    $<IF:$<BOOL:$<TARGET_PROPERTY:ITO_WITHOUT_COMPILER>>,ito_without_trainings,ito_trainings>)
else()
  target_link_libraries(ito_embed PRIVATE ito_without_trainings)
endif()
set(room_headers <algorithm> <array> <cmath> <cstdint> <cstring> <functional> <limits> <map> <memory>
  <numbers> <optional> <set> <span> <string> <string_view> <utility> <vector> <fmt/format.h>)
ito_precompiled(ito_room_headers ROOMS fmt::fmt HEADERS ${room_headers})
ito_precompiled(ito_quick_headers ROOMS QUICK fmt::fmt HEADERS ${room_headers})
ito_precompiled(ito_quick_json_headers ROOMS QUICK fmt::fmt nlohmann_json::nlohmann_json
  HEADERS ${room_headers} <nlohmann/json.hpp>)
foreach(room graph vk runtime statistics ranks)
  ito_use_precompiled(ito_${room} ito_room_headers)
endforeach()
# They build graphs and tables of numbers once, and hand them on.
foreach(room nn diffusion)
  ito_compile_target_quickly(ito_${room})
  ito_use_precompiled(ito_${room} ito_quick_headers)
endforeach()
# What takes time in io, decoding and inflating, lies in libraries.
foreach(room io plots api studies embed trainings without_trainings)
  if(TARGET ito_${room})
    ito_compile_target_quickly(ito_${room})
    ito_use_precompiled(ito_${room} ito_quick_json_headers)
  endif()
endforeach()
# No room has an implicit conversion that may lose something. For g++, whose judgement of them is even.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  foreach(room base graph vk glsl without_compiler runtime nn diffusion io plots statistics ranks api studies embed
      trainings without_trainings)
    if(TARGET ito_${room})
      target_compile_options(ito_${room} PRIVATE -Wconversion)
    endif()
  endforeach()
endif()
