# How Ito is compiled: the language, warnings, sanitizers, and what makes compiling quick. All of it holds in
# Ito's folders only; a project that Ito is a part of keeps its own.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# Few processors gain by more at a time, many by more that can be compiled side by side.
cmake_host_system_information(RESULT processors QUERY NUMBER_OF_LOGICAL_CORES)
if(processors LESS_EQUAL 4)
  set(unity_files 30)
else()
  set(unity_files 12)
endif()
set(ITO_UNITY_FILES ${unity_files} CACHE STRING "How many at a time, at most")

add_compile_options(-Wall -Wextra)
if(ITO_WARNINGS_AS_ERRORS)
  add_compile_options(-Werror)
endif()
if(ITO_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()

# With little optimisation, or with sanitizers' checks in between, g++ 12 takes optionals that are asked first for
# uninitialised ones.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-maybe-uninitialized)
endif()

# A library without a compiler of kernels is for programs that count bytes: it is made small, as a whole, and the linker
# leaves out what it does not need. 3 MB at most (tests/embed/size_test.sh).
if(NOT ITO_COMPILER)
  set(CMAKE_CXX_FLAGS_RELEASE "-Os -DNDEBUG")
  add_compile_options(-ffunction-sections -fdata-sections)
  set(CMAKE_CXX_VISIBILITY_PRESET hidden)
  set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  endif()
endif()

# What runs for milliseconds between two replays takes no time; optimising it further would only lengthen
# the build. For a target, and for all targets of a folder's scope.
function(ito_compile_target_quickly target)
  if(ITO_COMPILER)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
endfunction()
macro(ito_compile_quickly)
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")
  if(ITO_SANITIZE)
    string(REPLACE "-O1" "-O0" CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")
  endif()
endmacro()

# Half of a file's compile time, or more, is the standard library, fmt and nlohmann::json. So these are
# compiled once for each way in which they are used.
# ito_precompiled(NAME [ROOMS] [QUICK] LIBRARY... HEADERS <header>...): headers of LIBRARY... for executables
# or (ROOMS) for libraries, compiled quickly or not; ito_use_precompiled(TARGET NAME) makes a target use
# them. For headers from outside only, in angle brackets: then the result is the same in every checkout, and
# a compiler cache serves them all (ccache wants CCACHE_SLOPPINESS=pch_defines,time_macros, else it stands
# aside).
function(ito_precompiled name)
  cmake_parse_arguments(ARG "ROOMS;QUICK" "" "HEADERS" ${ARGN})
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled/empty.cpp CONTENT "")
  add_library(${name} OBJECT ${PROJECT_BINARY_DIR}/precompiled/empty.cpp)
  target_link_libraries(${name} PRIVATE ${ARG_UNPARSED_ARGUMENTS})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
  # As those are compiled that use it: the compiler insists on equal options.
  if(NOT ARG_ROOMS)
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${name} PRIVATE -fPIE)
  endif()
  if(ARG_QUICK)
    ito_compile_target_quickly(${name})
  endif()
  target_compile_options(${name} PRIVATE -fpch-preprocess)
endfunction()
function(ito_use_precompiled target name)
  target_precompile_headers(${target} REUSE_FROM ${name})
  # The first for compiler caches. The others are false alarms of g++ 12 in std::string, which it knows to
  # keep to itself only while it sees that they lie in a system header.
  target_compile_options(${target} PRIVATE -fpch-preprocess
    -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread)
endfunction()

# Reading headers and instantiating the same templates is most of what compiling a file costs; several files
# at a time do it once. What they keep to themselves in anonymous namespaces therefore has names of its own in
# the whole room.
function(ito_compile_together target)
  if(ITO_UNITY)
    # In equal parts, and two where there is enough for both of two processors.
    get_target_property(files ${target} SOURCES)
    list(LENGTH files count)
    math(EXPR parts "(${count} + ${ITO_UNITY_FILES} - 1) / ${ITO_UNITY_FILES}")
    if(parts EQUAL 1 AND count GREATER 12)
      set(parts 2)
    endif()
    math(EXPR files "(${count} + ${parts} - 1) / ${parts}")
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${files})
  endif()
endfunction()
