# Run by ctest: cmake -DSOURCE=... -P layering_test.cmake
# Reads the includes of every source file of every room and fails on one that points upwards: rooms
# may include only themselves and what the table allows (docs/tour.md).

cmake_minimum_required(VERSION 3.25)

# Room → what its files may include, as prefixes of paths from the repository root.
set(base "base/")
set(graph "graph/;base/")
# DeviceCaps is a plain value that runtime/vk fills and graph reads; it belongs to both.
set(runtime_vk "runtime/vk/;base/;graph/device_caps.h")
set(runtime "runtime/;graph/plan.h;graph/device_caps.h;base/")
set(nn "nn/;graph/;base/")
set(diffusion "diffusion/;graph/;base/")
set(io "io/;base/")
set(api "api/;nn/;diffusion/;io/;runtime/;graph/;base/")
set(apps "apps/;api/;nn/;diffusion/;io/;runtime/;graph/;base/")

set(rooms base graph runtime_vk runtime nn diffusion io api apps)
set(all_rooms "base|graph|runtime|nn|diffusion|io|api|apps|tests|bench")
set(failures 0)
set(files_read 0)

foreach(room ${rooms})
  string(REPLACE "_" "/" folder ${room})
  file(GLOB_RECURSE files RELATIVE ${SOURCE} ${SOURCE}/${folder}/*.h ${SOURCE}/${folder}/*.cpp)
  if(room STREQUAL "runtime")
    list(FILTER files EXCLUDE REGEX "^runtime/vk/")
  endif()
  foreach(file ${files})
    math(EXPR files_read "${files_read} + 1")
    file(STRINGS ${SOURCE}/${file} lines REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
    foreach(line ${lines})
      string(REGEX REPLACE "^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"]*)[>\"].*$" "\\1" path "${line}")
      # Vulkan and the shader compilers stay below runtime/vk (and the C API, which is given devices).
      if(path MATCHES "^(vulkan/|glslang/|spirv-tools/)" AND NOT room MATCHES "^(runtime_vk|api)$")
        message("${file}: includes <${path}>, but Vulkan types stay in runtime/vk")
        math(EXPR failures "${failures} + 1")
      endif()
      if(NOT path MATCHES "^(${all_rooms})/")
        continue()  # the standard library, a third party
      endif()
      set(allowed FALSE)
      foreach(prefix ${${room}})
        string(FIND "${path}" "${prefix}" at)
        if(at EQUAL 0)
          set(allowed TRUE)
        endif()
      endforeach()
      if(NOT allowed)
        message("${file}: includes \"${path}\", but ${folder} may include only: ${${room}}")
        math(EXPR failures "${failures} + 1")
      endif()
    endforeach()
  endforeach()
endforeach()

if(files_read LESS 50)
  message(FATAL_ERROR "layering: read only ${files_read} files of ${SOURCE}")
endif()
if(failures GREATER 0)
  message(FATAL_ERROR "layering: ${failures} includes point upwards")
endif()
message("layering: ${files_read} files, no include points upwards")
