# What `cmake --install BUILD --component library` puts in place: headers, libraries, CMake's package
# (find_package(ito): ito::ito and ito::static) and pkg-config's file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/ito)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ito COMPONENT library DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(ITO_SHARED)
  install(TARGETS ito_library EXPORT ito_targets COMPONENT library
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(EXPORT ito_targets NAMESPACE ito:: FILE itoTargets.cmake DESTINATION ${package} COMPONENT library)
endif()
if(ITO_STATIC_FILE)
  install(FILES ${ITO_STATIC_FILE} COMPONENT library DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/itoConfig.cmake.in
  ${PROJECT_BINARY_DIR}/itoConfig.cmake INSTALL_DESTINATION ${package} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/itoConfigVersion.cmake COMPATIBILITY SameMinorVersion)
# What a program that is linked with -static takes besides (pkg-config --static).
list(TRANSFORM ITO_STATIC_LIBRARIES PREPEND -l OUTPUT_VARIABLE ITO_LIBS_PRIVATE)
list(JOIN ITO_LIBS_PRIVATE " " ITO_LIBS_PRIVATE)
# From the file to where all is installed, wherever that is moved to.
file(RELATIVE_PATH ITO_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" ITO_PC_PREFIX "${ITO_PC_PREFIX}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/ito.pc.in ${PROJECT_BINARY_DIR}/ito.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/itoConfig.cmake ${PROJECT_BINARY_DIR}/itoConfigVersion.cmake
  DESTINATION ${package} COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/ito.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
