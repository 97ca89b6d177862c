# Compiles refused.cpp. Without MESSAGE it must compile; with MESSAGE it must not, and the compiler must say so.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)

set(compile ${CXX} ${CXX_FLAGS} -std=c++20 -I${SOURCE_DIR}/include -fsyntax-only ${FLAG}
  ${CMAKE_CURRENT_LIST_DIR}/refused.cpp)
if(NOT DEFINED MESSAGE)
  run(${compile})
  return()
endif()

set(ENV{LC_ALL} C)
execute_process(COMMAND ${compile} RESULT_VARIABLE status OUTPUT_VARIABLE printed ERROR_VARIABLE printed)
string(FIND "${printed}" "${MESSAGE}" at)
if(status EQUAL 0 OR at EQUAL -1)
  message("${printed}")
  message(FATAL_ERROR "expected a refusal that says '${MESSAGE}'; the compiler exited with ${status}")
endif()
