# ITO_FUZZ (preset `fuzz`): nothing but tests/fuzz, the harness of the readers of files, with what
# reads: base, io and the cache of shaders. Clang's, with the address and undefined-behaviour
# sanitizers; scripts/fuzz runs it.
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "ITO_FUZZ needs clang (libFuzzer), found ${CMAKE_CXX_COMPILER_ID}; "
    "cmake --preset fuzz chooses it, scripts/setup.sh --tests installs it")
endif()
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-resource-dir
  OUTPUT_VARIABLE clang_folder OUTPUT_STRIP_TRAILING_WHITESPACE)
# libFuzzer without its main(): which reader is driven, ours looks up.
find_library(ITO_FUZZER_LIBRARY clang_rt.fuzzer_no_main-${CMAKE_SYSTEM_PROCESSOR}
  HINTS ${clang_folder}/lib/linux REQUIRED)
mark_as_advanced(ITO_FUZZER_LIBRARY)

file(GLOB fuzz_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/*.cpp)
# ito_reading(NAME FILE... LIBRARIES library...): a room, whose names are its own.
function(ito_reading name)
  cmake_parse_arguments(ARG "" "" "LIBRARIES" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_LIBRARIES})
  target_compile_options(${name} PUBLIC -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
    -fno-omit-frame-pointer -O1 -g1 -Wno-error PRIVATE -fsanitize=fuzzer-no-link)
  target_link_options(${name} PUBLIC -fsanitize=address,undefined)
  ito_compile_together(${name})
endfunction()
file(GLOB_RECURSE base_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/base/*.cpp)
list(FILTER base_sources EXCLUDE REGEX "/platform_windows.cpp")
file(GLOB_RECURSE io_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/io/*.cpp)
ito_reading(ito_reading_base ${base_sources} LIBRARIES fmt::fmt ${CMAKE_DL_LIBS})
ito_reading(ito_reading_io ${io_sources} ${PROJECT_SOURCE_DIR}/runtime/vk/disk_cache.cpp
  LIBRARIES ito_reading_base nlohmann_json::nlohmann_json ZLIB::ZLIB ito::stb ito::pictures)

add_executable(ito_fuzz ${fuzz_sources})
target_link_libraries(ito_fuzz PRIVATE ito_reading_io ${ITO_FUZZER_LIBRARY})
