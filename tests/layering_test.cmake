# Run by ctest: cmake -DSOURCE=... -P layering_test.cmake
# Reads the includes of every source file of every room and fails on one that points upwards: rooms
# may include only themselves and what the table allows (docs/tour.md). And on what is the system's: headers and
# functions beyond standard C++ are for base/platform_*.cpp (base/platform.h).

cmake_minimum_required(VERSION 3.25)

# Room → what its files may include, as prefixes of paths from the repository root.
set(base "base/")
set(graph "graph/;base/")
set(runtime_vk "runtime/vk/;base/")
set(runtime "runtime/;graph/plan.h;graph/port.h;base/")
set(nn "nn/;graph/;base/")
set(diffusion "diffusion/;graph/;base/")
set(io "io/;base/")
set(plots "plots/;io/;base/")
set(statistics "statistics/;base/")
set(ranks "ranks/;base/")
set(api "api/;ranks/;plots/;statistics/;nn/;diffusion/;io/;runtime/;graph/;base/")
set(studies "studies/;api/;plots/;nn/;diffusion/;runtime/;graph/;base/")
set(embed "embed/;include/ito/;api/;diffusion/;io/;runtime/;base/")
set(apps "apps/;ranks/;embed/;studies/;api/;plots/;statistics/;nn/;diffusion/;io/;runtime/;graph/;base/")

set(rooms base graph runtime_vk runtime nn diffusion io plots statistics ranks api studies embed apps)
set(all_rooms "base|graph|runtime|nn|diffusion|io|plots|statistics|ranks|api|studies|embed|include|apps|tests|bench")
# What platform.h is there for: headers of the system or of its C library, in angle brackets, and calls of theirs.
string(CONCAT system_headers "^[ \t]*#[ \t]*include[ \t]*<(sys/|linux/|mach/|arpa/|csignal>|[a-z_]+\\.h>$)")
# And what of libraries looks like it.
set(of_libraries "::inflate|<(stddef|gif_lib|jerror|jpeglib|png|tiffio|zlib|stb_image|stb_image_write)\\.h>")
string(CONCAT system_calls "(^|[^A-Za-z0-9_.>:])(getpid|getuid|geteuid|isatty|fsync|fdatasync|syncfs|flock|mmap|munmap|dlopen|"
  "dlsym|sysconf|ftruncate|fstat|lstat|pread|pwrite|readlink|gethostname|clock_gettime|usleep|nanosleep|fork|execvp?|kill|"
  "setenv|popen|mkstemp|mkdtemp|sigaction|signal|raise|localtime_r|gmtime_r|sched_getaffinity|renameat2)\\(")
string(CONCAT scoped_calls "std::(signal|raise)\\(|(^|[ \t(!=])::[a-z_0-9]+\\(")

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
    if(NOT file MATCHES "^(base/platform|ranks/local_ranks)_[a-z]+\\.cpp$")
      foreach(sign "${system_headers}" "${system_calls}" "${scoped_calls}")
        file(STRINGS ${SOURCE}/${file} lines REGEX "${sign}")
        foreach(line IN LISTS lines)
          if(NOT line MATCHES "^[ \t]*//|${of_libraries}")
            message("${file}: \"${line}\" is the system's, which is for base/platform_*.cpp only")
            math(EXPR failures "${failures} + 1")
          endif()
        endforeach()
      endforeach()
    endif()
    file(STRINGS ${SOURCE}/${file} lines REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
    foreach(line ${lines})
      string(REGEX REPLACE "^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"]*)[>\"].*$" "\\1" path "${line}")
      # Vulkan and the shader compilers stay in runtime/vk.
      if(path MATCHES "^(vulkan/|glslang/|spirv-tools/)" AND NOT room STREQUAL "runtime_vk")
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
  message(FATAL_ERROR "layering: ${failures} includes point upwards or lines are the system's")
endif()
message("layering: ${files_read} files, no include points upwards")
