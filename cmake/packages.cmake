# cpack --config BUILD/CPackConfig.cmake: a package for Debian, ito_VERSION_ARCHITECTURE.deb, and a tarball of the
# same files. Both hold the program, the libraries and what a host's build needs; what they need of other packages
# dpkg-shlibdeps finds out. The Vulkan loader is opened at run time, so it is named here, and with it a driver.
if(ITO_APPS)
  install(TARGETS ito COMPONENT program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE RENAME copyright COMPONENT library DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/ito)
install(FILES ${PROJECT_SOURCE_DIR}/docs/embedding.md COMPONENT library DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/ito)

set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_NAME ito)
set(CPACK_PACKAGE_VENDOR "The Ito authors")
set(CPACK_PACKAGE_CONTACT "The Ito authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "diffusion models on Vulkan: program and library")
set(CPACK_PACKAGE_DESCRIPTION "Trains diffusion and score-based models and samples from them on any Vulkan GPU, or on a\
 CPU through a Vulkan CPU driver. With the library for engines, which draws on their device in their command buffers.")
set(CPACK_PACKAGE_FILE_NAME ito-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_STRIP_FILES ON)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
# Program, library and headers together, without what else may be installed from the same folder.
set(CPACK_COMPONENTS_ALL library)
if(ITO_APPS)
  list(APPEND CPACK_COMPONENTS_ALL program)
endif()
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS libvulkan1)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "mesa-vulkan-drivers | vulkan-icd")
# For building: Vulkan's headers for ito.h, and for linking libito.a the libraries that it leaves to the system.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS
  "libvulkan-dev, libfmt-dev, zlib1g-dev, libpng-dev, libjpeg62-turbo-dev, libwebp-dev, libtiff-dev, libgif-dev")
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/package_prefix.cmake)
include(CPack)
