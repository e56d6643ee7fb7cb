# The static library libito.a: the rooms and what they need of static libraries, as one object whose symbols are
# local but for ito_*, so that nothing of it meets the host's own copies of the same libraries. Other systems than
# those of ELF and GNU's binutils have no such object; there ito::static is the rooms one by one, and is not
# installed.

# ito_link_closure(ITEM ARCHIVES LIBRARIES): what is to be linked where ITEM is: static libraries, as generator
# expressions or paths, and the names of shared ones, each once.
function(ito_link_closure item archives libraries)
  set(seen "")
  set(found_archives "")
  set(found_libraries "")
  set(items ${item})
  while(items)
    list(POP_FRONT items item)
    string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" item "${item}")
    string(REGEX REPLACE "^\\$<IF:.*,([A-Za-z_]+)>$" "\\1" item "${item}") # the compiler of kernels (rooms.cmake)
    if(item IN_LIST seen)
      continue()
    endif()
    list(APPEND seen ${item})
    set(file ${item})
    if(TARGET ${item})
      get_target_property(type ${item} TYPE)
      get_target_property(imported ${item} IMPORTED)
      set(file "")
      if(imported AND NOT type STREQUAL "INTERFACE_LIBRARY")
        get_target_property(file ${item} LOCATION)
      elseif(type STREQUAL "STATIC_LIBRARY")
        list(APPEND found_archives $<TARGET_FILE:${item}>)
      endif()
      # A shared library brings its own along.
      if(NOT file MATCHES "\\.so")
        get_target_property(more ${item} INTERFACE_LINK_LIBRARIES)
        if(more)
          list(APPEND items ${more})
        endif()
      endif()
    endif()
    if(file MATCHES "\\.a$")
      list(APPEND found_archives ${file})
    elseif(file MATCHES "lib([^/]+)\\.so[.0-9]*$")
      list(APPEND found_libraries ${CMAKE_MATCH_1})
    elseif(file MATCHES "^(-l)?([A-Za-z0-9_+]+)$")
      list(APPEND found_libraries ${CMAKE_MATCH_2})
    elseif(NOT file STREQUAL "")
      message(FATAL_ERROR "libito.a: \"${file}\", which Ito links, is neither a library nor a name of one")
    endif()
  endwhile()
  list(REMOVE_DUPLICATES found_archives)
  list(REMOVE_DUPLICATES found_libraries)
  set(${archives} ${found_archives} PARENT_SCOPE)
  set(${libraries} ${found_libraries} PARENT_SCOPE)
endfunction()

if(CMAKE_EXECUTABLE_FORMAT STREQUAL "ELF" AND CMAKE_OBJCOPY AND CMAKE_NM AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  ito_link_closure(ito_embed static_parts ITO_STATIC_LIBRARIES)
  list(APPEND ITO_STATIC_LIBRARIES stdc++ m)
  set(ITO_STATIC_FILE ${PROJECT_BINARY_DIR}/libito.a)
  set(object ${PROJECT_BINARY_DIR}/ito_whole.o)
  set(static_flags "")
  if(CMAKE_INTERPROCEDURAL_OPTIMIZATION)
    set(static_flags -flto=auto -flto-partition=none -flinker-output=nolto-rel ${CMAKE_CXX_FLAGS_RELEASE} -fPIC -ffunction-sections -fdata-sections)
    separate_arguments(static_flags)
  endif()
  # Groups of equal inline functions are settled here: their names become local too.
  add_custom_command(OUTPUT ${ITO_STATIC_FILE}
    COMMAND ${CMAKE_CXX_COMPILER} ${static_flags} -r -nostdlib -o ${object} $<TARGET_OBJECTS:ito_entry>
            -Wl,--gc-sections -Wl,-u,ito_get_api -Wl,--force-group-allocation
            -Wl,--start-group ${static_parts} -Wl,--end-group
    COMMAND ${CMAKE_COMMAND} -DOBJECT=${object} -DNM=${CMAKE_NM} -DOBJCOPY=${CMAKE_OBJCOPY}
            -P ${PROJECT_SOURCE_DIR}/cmake/local_symbols.cmake
    COMMAND ${CMAKE_COMMAND} -E rm -f ${ITO_STATIC_FILE}
    COMMAND ${CMAKE_AR} qcs ${ITO_STATIC_FILE} ${object}
    COMMAND ${CMAKE_COMMAND} -E rm ${object}
    DEPENDS ${PROJECT_SOURCE_DIR}/cmake/local_symbols.cmake ito_entry $<TARGET_OBJECTS:ito_entry> ito_embed ${static_parts}
    COMMENT "Linking libito.a, one object with one global symbol"
    COMMAND_EXPAND_LISTS VERBATIM)
  if(ITO_INSTALL)
    set(with_all ALL)
  endif()
  add_custom_target(ito_archive ${with_all} DEPENDS ${ITO_STATIC_FILE})
  add_library(ito_static STATIC IMPORTED GLOBAL)
  set_target_properties(ito_static PROPERTIES IMPORTED_LOCATION ${ITO_STATIC_FILE})
  add_dependencies(ito_static ito_archive)
  target_link_libraries(ito_static INTERFACE ${ITO_STATIC_LIBRARIES})
else()
  add_library(ito_static STATIC $<TARGET_OBJECTS:ito_entry>)
  target_link_libraries(ito_static PUBLIC ito_embed)
endif()
target_include_directories(ito_static INTERFACE ${PROJECT_SOURCE_DIR}/include)
add_library(ito::static ALIAS ito_static)
