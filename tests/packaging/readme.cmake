# Compiles every block of the README that is marked c++: those that begin with `struct` as they are, the others inside a
# function that has what they speak of.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)

file(READ ${SOURCE_DIR}/README.md rest)
set(program [[
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <span>
#include <specdec/adapters/background_thread.hpp>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <specdec/testing/faulty.hpp>
#include <string>
#include <vector>
]])
set(blocks 0)
while(TRUE)
  string(FIND "${rest}" "\n```c++\n" begin)
  if(begin EQUAL -1)
    break()
  endif()
  math(EXPR begin "${begin} + 8")
  string(SUBSTRING "${rest}" ${begin} -1 rest)
  string(FIND "${rest}" "\n```" end)
  string(SUBSTRING "${rest}" 0 ${end} block)
  string(SUBSTRING "${rest}" ${end} -1 rest)
  math(EXPR blocks "${blocks} + 1")
  if(block MATCHES "^struct")
    string(APPEND program "${block}\n")
  else()
    string(APPEND program "void block_${blocks}(my_model& target, my_model& draft,"
      " const std::vector<specdec::token_id>& prompt, const std::vector<specdec::token_id>& next_turn,"
      " const std::vector<std::string>& pieces) {\n${block}\n}\n")
  endif()
endwhile()
if(blocks LESS 5)
  message(FATAL_ERROR "expected at least 5 blocks of C++ in the README; found ${blocks}")
endif()
file(WRITE ${WORK_DIR}/readme.cpp "${program}")
run(${CXX} ${CXX_FLAGS} -std=c++20 -I${SOURCE_DIR}/include -fsyntax-only ${WORK_DIR}/readme.cpp)
