# What is built. Whoever has Ito as a part of a project of their own (add_subdirectory) gets the library alone:
# no program, no tests, no rules for installing, no warning that is an error, nothing fetched from the network.
option(ITO_COMPILER "Compile kernels at run time: glslang and SPIRV-Tools are part of the library" ON)
option(ITO_APPS "Build the program ito" ${PROJECT_IS_TOP_LEVEL})
option(ITO_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(ITO_EXAMPLES "Build the hosts in examples/, those whose packages are there" OFF)
option(ITO_INSTALL "Rules for installing and packing" ${PROJECT_IS_TOP_LEVEL})
option(ITO_FETCH "Let third_party/fetch.sh supply what the system has too old" ${PROJECT_IS_TOP_LEVEL})
option(ITO_WARNINGS_AS_ERRORS "Treat the compiler's warnings as errors" ${PROJECT_IS_TOP_LEVEL})
option(ITO_SANITIZE "Address and undefined-behaviour sanitizers" OFF)
option(ITO_UNITY "Compile the files of a room several at a time" ON)
if(ITO_TESTS AND NOT ITO_APPS)
  message(FATAL_ERROR "The tests start the program: with ITO_TESTS=ON, ITO_APPS must be ON too")
endif()
