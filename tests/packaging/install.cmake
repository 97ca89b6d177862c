# Installs into one folder and moves the result to another, where the users of the package look for it.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)

file(REMOVE_RECURSE ${WORK_DIR} ${PREFIX})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR})
file(RENAME ${WORK_DIR} ${PREFIX})

file(GLOB_RECURSE expected RELATIVE ${SOURCE_DIR} ${SOURCE_DIR}/include/specdec/*)
list(APPEND expected
  share/cmake/specdec/specdec-config.cmake
  share/cmake/specdec/specdec-config-version.cmake
  share/cmake/specdec/specdec-targets.cmake
  share/doc/specdec/LICENSE
  share/pkgconfig/specdec.pc)
list(SORT expected)
file(GLOB_RECURSE installed RELATIVE ${PREFIX} ${PREFIX}/*)
list(SORT installed)
if(NOT installed STREQUAL expected)
  list(JOIN expected "\n" expected)
  list(JOIN installed "\n" installed)
  message("expected\n${expected}\n\ninstalled\n${installed}")
  message(FATAL_ERROR "not all that is expected is installed, or more")
endif()

file(STRINGS ${PREFIX}/share/cmake/specdec/specdec-targets.cmake directories REGEX "INTERFACE_INCLUDE_DIRECTORIES")
if(directories STREQUAL "")
  message(FATAL_ERROR "the target has its headers in a file set only, which CMake before 3.23 passes over")
endif()

foreach(file IN LISTS installed)
  file(READ ${PREFIX}/${file} text)
  foreach(place ${WORK_DIR} ${BUILD_DIR} ${SOURCE_DIR})
    string(FIND "${text}" "${place}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${file} names ${place}: it works in one place only")
    endif()
  endforeach()
endforeach()
