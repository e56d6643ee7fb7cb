# The adapters to MPIs (ranks/mpi/adapter.c): one shared object for each that is installed, with the flags that its own
# compiler wrapper names, beside the program. Programs link none of them and open the one they need. They are installed by
# `cmake --install BUILD --component mpi`: in the package they would make it depend on every MPI.
# ito_mpi_adapter(NAME SHOW_COMPILE SHOW_LINK WRAPPER...)
function(ito_mpi_adapter name show_compile show_link)
  find_program(ITO_MPICC_${name} NAMES ${ARGN} NO_CACHE)
  if(NOT ITO_MPICC_${name})
    message(STATUS "MPI adapter ${name}: not built (no ${ARGN})")
    return()
  endif()
  foreach(kind compile link)
    separate_arguments(show UNIX_COMMAND "${show_${kind}}")
    execute_process(COMMAND ${ITO_MPICC_${name}} ${show}
      OUTPUT_VARIABLE text OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE status ERROR_QUIET)
    if(NOT status EQUAL 0)
      message(STATUS "MPI adapter ${name}: not built (${ITO_MPICC_${name}} ${show} fails)")
      return()
    endif()
    separate_arguments(${kind}_flags UNIX_COMMAND "${text}")
  endforeach()
  # Some give both to either question, and name the compiler first.
  list(FILTER compile_flags INCLUDE REGEX "^-[ID]")
  list(FILTER link_flags INCLUDE REGEX "^-([Ll]|Wl)")
  add_library(ito_mpi_${name} MODULE ${PROJECT_SOURCE_DIR}/ranks/mpi/adapter.c)
  target_include_directories(ito_mpi_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  # MPICH's MPI_STATUSES_IGNORE is an address that g++ 12 takes for a small array.
  target_compile_options(ito_mpi_${name} PRIVATE ${compile_flags} -Wno-stringop-overflow)
  target_link_libraries(ito_mpi_${name} PRIVATE ${link_flags})
  set_target_properties(ito_mpi_${name} PROPERTIES OUTPUT_NAME ito-mpi-${name}
    C_STANDARD 11 C_VISIBILITY_PRESET hidden LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/apps)
  if(ITO_INSTALL)
    install(TARGETS ito_mpi_${name} COMPONENT mpi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/ito)
  endif()
  add_dependencies(ito ito_mpi_${name})
  message(STATUS "MPI adapter ${name}: by ${ITO_MPICC_${name}}")
endfunction()
ito_mpi_adapter(openmpi "--showme:compile" "--showme:link" mpicc.openmpi)
ito_mpi_adapter(mpich "-compile_info" "-link_info" mpicc.mpich)
