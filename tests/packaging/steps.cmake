# What the scripts of this folder have in common.
cmake_minimum_required(VERSION 3.25)

# run(COMMAND ...) fails with all that the command printed unless the command succeeds; sets `printed` to its output.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE printed ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message("${command}\n${printed}${errors}")
    message(FATAL_ERROR "the command above exited with ${status}")
  endif()
  set(printed "${printed}" PARENT_SCOPE)
endfunction()

# Fails unless `program` prints what this build's own hello does.
function(expect_hello program)
  run(${HELLO})
  set(expected "${printed}")
  run(${program})
  if(NOT printed STREQUAL expected)
    message("expected\n${expected}printed\n${printed}")
    message(FATAL_ERROR "${program} does not print what is expected")
  endif()
endfunction()

separate_arguments(CXX_FLAGS UNIX_COMMAND "${CXX_FLAGS}")
set(strict -Wall -Wextra -Wconversion -Wshadow -pedantic -Werror)
