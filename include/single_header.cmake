# Folds the library into one header, for projects that would rather copy a file than depend on a package:
#
#   cmake [-D OUTPUT=path/to/specdec.hpp] -P include/single_header.cmake
#
# The result (build/specdec.hpp by default) is specdec/specdec.hpp and what it includes, each header once, behind those
# it needs and within its own guard, so that the opt-in headers of the same version can still be used beside it. It
# depends on the headers and the licence alone: the same sources give the same bytes.
cmake_minimum_required(VERSION 3.23)

cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH repository)
set(library ${CMAKE_CURRENT_LIST_DIR}/specdec)
if(NOT DEFINED OUTPUT)
  set(OUTPUT ${repository}/build/specdec.hpp)
endif()

# Appends `header`, a path below the library, to `folded`, behind the headers that it includes. Collects their
# #include <...> lines in `standard`.
function(fold header)
  if(header IN_LIST seen)
    return()
  endif()
  list(APPEND seen ${header})

  cmake_path(GET header PARENT_PATH folder)
  file(READ ${library}/${header} rest)
  set(kept "")
  set(depth 0)
  set(in_code FALSE)
  # Taking lines off a string, because ; and [ would mean something in a list.
  while(NOT rest STREQUAL "")
    string(FIND "${rest}" "\n" length)
    if(length EQUAL -1)
      message(FATAL_ERROR "${header}: expected a newline at the end")
    endif()
    math(EXPR length "${length} + 1")
    string(SUBSTRING "${rest}" 0 ${length} line)
    string(SUBSTRING "${rest}" ${length} -1 rest)

    if(line MATCHES "^[ \t]*#[ \t]*if")
      math(EXPR depth "${depth} + 1")
    elseif(line MATCHES "^[ \t]*#[ \t]*endif")
      math(EXPR depth "${depth} - 1")
    elseif(line MATCHES "^[a-z]")
      set(in_code TRUE)
    endif()

    if(line MATCHES "^[ \t]*#[ \t]*include[ \t]+\"([^\"]+)\"")
      cmake_path(APPEND folder "${CMAKE_MATCH_1}" OUTPUT_VARIABLE included)
      cmake_path(NORMAL_PATH included)
      # Only the guard may be around it and nothing but preprocessing before it: its text moves to another place.
      if(in_code OR NOT depth EQUAL 1)
        message(FATAL_ERROR
          "${header}: expected the include of ${included} among the includes at the top, under no condition")
      endif()
      fold(${included})
    elseif(depth EQUAL 1 AND line MATCHES "^#include (<[^>]+>)")
      list(APPEND standard ${CMAKE_MATCH_1})
    else()
      string(APPEND kept "${line}")
    endif()
  endwhile()

  # What the includes leave behind: runs of empty lines.
  string(REGEX REPLACE "\n\n\n+" "\n\n" kept "${kept}")
  if(NOT folded STREQUAL "")
    string(APPEND folded "\n")
  endif()
  string(APPEND folded "${kept}")
  set(folded "${folded}" PARENT_SCOPE)
  set(seen "${seen}" PARENT_SCOPE)
  set(standard "${standard}" PARENT_SCOPE)
endfunction()

set(folded "")
set(seen "")
set(standard "")
fold(specdec.hpp)
list(REMOVE_DUPLICATES standard)
list(SORT standard)
list(TRANSFORM standard PREPEND "#include ")
list(JOIN standard "\n" standard)

file(READ ${library}/version.hpp version_header)
set(version "")
foreach(part MAJOR MINOR PATCH)
  string(REGEX MATCH "SPECDEC_VERSION_${part} ([0-9]+)" _ "${version_header}")
  list(APPEND version ${CMAKE_MATCH_1})
endforeach()
list(JOIN version "." version)

file(READ ${repository}/LICENSE licence)
string(STRIP "${licence}" licence)
string(REPLACE "\n" "\n// " licence "// ${licence}")
string(REPLACE "// \n" "//\n" licence "${licence}")

file(WRITE ${OUTPUT}
"// specdec ${version} in one file, made by include/single_header.cmake: change the headers, not this.
//
${licence}

${standard}

${folded}")
