# Runs PROGRAM, which must make its tokens, and then with what the library refuses: it must end there, with the message.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)

run(${PROGRAM})
if(NOT printed STREQUAL "2000, 240, 40, 80 and 40 tokens\n")
  message(FATAL_ERROR "expected 2000, 240, 40, 80 and 40 tokens; it printed ${printed}")
endif()
execute_process(COMMAND ${PROGRAM} refused RESULT_VARIABLE status OUTPUT_VARIABLE printed ERROR_VARIABLE errors)
if(status EQUAL 0 OR NOT errors MATCHES "^specdec: [^\n]*temperature[^\n]*\n$")
  message(FATAL_ERROR "expected the program to end with a message about the temperature; it ended with ${status} and\n"
    "${errors}")
endif()
