# Compiles refused.cpp. Without MESSAGE it must compile; with MESSAGE it must not, and the compiler must say so: in
# COUNT errors and no others, if COUNT is given.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)

set(compile ${CXX} ${CXX_FLAGS} -std=c++20 -I${SOURCE_DIR}/include -fsyntax-only ${FLAG}
  ${CMAKE_CURRENT_LIST_DIR}/refused.cpp)
if(NOT DEFINED MESSAGE)
  run(${compile})
  return()
endif()

set(ENV{LC_ALL} C)
execute_process(COMMAND ${compile} RESULT_VARIABLE status OUTPUT_VARIABLE printed ERROR_VARIABLE printed)
# Without the characters that would mean something in a list.
string(REGEX REPLACE "[][;]" "," lines "${printed}")
string(REGEX MATCHALL " error: [^\n]*" errors "${lines}")
list(LENGTH errors all)
set(expected 0)
foreach(error IN LISTS errors)
  string(FIND "${error}" "${MESSAGE}" at)
  if(NOT at EQUAL -1)
    math(EXPR expected "${expected} + 1")
  endif()
endforeach()
if(status EQUAL 0 OR expected EQUAL 0 OR (DEFINED COUNT AND NOT (expected EQUAL COUNT AND all EQUAL COUNT)))
  message("${printed}")
  message(FATAL_ERROR "expected a refusal that says '${MESSAGE}'; the compiler exited with ${status} "
    "and said it in ${expected} of ${all} errors")
endif()
