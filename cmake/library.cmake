# The shared library libito.so that engines link, with one exported symbol (include/ito/ito.h), and what
# `cmake --install BUILD --component library` puts in place: header, library, CMake's package (find_package(ito),
# target ito::ito) and pkg-config's file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

add_library(ito_library SHARED ${PROJECT_SOURCE_DIR}/embed/api.cpp)
set_target_properties(ito_library PROPERTIES
  OUTPUT_NAME ito EXPORT_NAME ito
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/library.map)
target_compile_definitions(ito_library PRIVATE ITO_BUILD_SHARED)
target_link_libraries(ito_library PRIVATE ito_embed)
target_include_directories(ito_library INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_options(ito_library PRIVATE
  -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/library.map -Wl,--gc-sections)
add_library(ito::ito ALIAS ito_library)

install(TARGETS ito_library EXPORT ito_targets COMPONENT library
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_SOURCE_DIR}/include/ito/ito.h COMPONENT library
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ito)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/ito)
install(EXPORT ito_targets NAMESPACE ito:: FILE itoTargets.cmake DESTINATION ${package} COMPONENT library)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/itoConfig.cmake.in
  ${PROJECT_BINARY_DIR}/itoConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/itoConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_file(${PROJECT_SOURCE_DIR}/cmake/ito.pc.in ${PROJECT_BINARY_DIR}/ito.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/itoConfig.cmake ${PROJECT_BINARY_DIR}/itoConfigVersion.cmake
  DESTINATION ${package} COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/ito.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
