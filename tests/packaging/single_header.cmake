# A user who copied one file, made by include/single_header.cmake.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)

file(REMOVE_RECURSE ${WORK_DIR})
set(header ${WORK_DIR}/include/specdec/specdec.hpp)
run(${CMAKE_COMMAND} -D OUTPUT=${header} -P ${SOURCE_DIR}/include/single_header.cmake)

file(STRINGS ${header} includes REGEX "^[ \t]*#[ \t]*include")
set(once ${includes})
list(REMOVE_DUPLICATES once)
if(NOT includes STREQUAL once OR includes MATCHES "\"")
  list(JOIN includes "\n" includes)
  message("${includes}")
  message(FATAL_ERROR "expected to include standard headers, each once; found the above")
endif()
file(STRINGS ${header} guards REGEX "^#define SPECDEC_[A-Z_]*_HPP$")
set(once ${guards})
list(REMOVE_DUPLICATES once)
if(NOT guards STREQUAL once)
  list(JOIN guards "\n" guards)
  message("${guards}")
  message(FATAL_ERROR "expected every header once; found the above")
endif()
file(STRINGS ${header} licence REGEX "^// Permission is hereby granted")
file(STRINGS ${header} first_line LIMIT_COUNT 1)
string(FIND "${first_line}" " ${VERSION} " at)
if(licence STREQUAL "" OR at EQUAL -1)
  message(FATAL_ERROR "expected version ${VERSION} in the first line and the licence below it; the file begins\n"
    "${first_line}")
endif()

run(${CXX} ${CXX_FLAGS} -std=c++20 ${strict} -I${WORK_DIR}/include ${SOURCE_DIR}/examples/hello.cpp
  -o ${WORK_DIR}/hello)
expect_hello(${WORK_DIR}/hello)

# The opt-in headers of the same version find everything they include already there.
file(GLOB_RECURSE opt_in ${SOURCE_DIR}/include/specdec/testing/*.hpp ${SOURCE_DIR}/include/specdec/adapters/background_thread.hpp)
list(TRANSFORM opt_in REPLACE "(.+)" "#include \"\\1\"")
list(JOIN opt_in "\n" opt_in)
file(WRITE ${WORK_DIR}/opt_in.cpp "#include <specdec/specdec.hpp>\n${opt_in}\n")
run(${CXX} ${CXX_FLAGS} -std=c++20 ${strict} -I${WORK_DIR}/include -fsyntax-only ${WORK_DIR}/opt_in.cpp)
