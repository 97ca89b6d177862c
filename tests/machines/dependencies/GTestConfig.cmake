# GoogleTest from the sources that Debian's and Ubuntu's libgtest-dev brings: for another processor, or another standard
# library, than its libraries are built for. The presets point GTest_DIR here.
if(NOT TARGET GTest::gtest_main)
  set(INSTALL_GTEST OFF)
  set(BUILD_GMOCK OFF)
  add_subdirectory(/usr/src/googletest ${CMAKE_BINARY_DIR}/googletest EXCLUDE_FROM_ALL SYSTEM)
endif()
set(GTest_FOUND TRUE)
