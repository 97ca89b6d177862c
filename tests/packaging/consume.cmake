# Configures, builds and runs the project in consumer/, which takes the library by find_package, add_subdirectory or
# FetchContent, as WAY says.
include(${CMAKE_CURRENT_LIST_DIR}/steps.cmake)

file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR})

# Makes a repository with one commit of what this working tree would commit, so that changes are tested before they are
# committed and an ignored file is missed before it is. The models are left out, for their size.
function(snapshot repository)
  find_program(git git)
  if(NOT git)
    message("skipped: git is not installed")
    return()
  endif()
  execute_process(
    COMMAND ${git} -C ${SOURCE_DIR} -c core.quotePath=false
      ls-files --cached --others --exclude-standard -- . ":(exclude)*.gguf"
    RESULT_VARIABLE status OUTPUT_VARIABLE files ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    message("skipped: ${SOURCE_DIR} is not a git checkout: ${errors}")
    return()
  endif()
  string(REGEX MATCHALL "[^\n]+" files "${files}")
  foreach(file IN LISTS files)
    # A file whose removal is not committed yet is listed, but no longer there.
    if(EXISTS ${SOURCE_DIR}/${file})
      cmake_path(GET file PARENT_PATH folder)
      file(COPY ${SOURCE_DIR}/${file} DESTINATION ${repository}/${folder})
    endif()
  endforeach()

  set(in_repository ${git} -C ${repository} -c core.hooksPath= -c core.autocrlf=false -c commit.gpgSign=false
    -c user.name=specdec -c user.email=specdec@example.org)
  run(${git} init --quiet --template= ${repository})
  run(${in_repository} add --all)
  run(${in_repository} commit --quiet --message "What the working tree holds")
  run(${in_repository} rev-parse HEAD)
  string(STRIP "${printed}" commit)
  set(commit ${commit} PARENT_SCOPE)
endfunction()

if(WAY STREQUAL find_package)
  set(from -DCMAKE_PREFIX_PATH=${PREFIX})
elseif(WAY STREQUAL add_subdirectory)
  set(from -DSPECDEC_DIR=${SOURCE_DIR})
elseif(WAY STREQUAL fetch_content)
  snapshot(${WORK_DIR}/repository)
  if(NOT commit)
    return()
  endif()
  set(from -DSPECDEC_REPOSITORY=file://${WORK_DIR}/repository -DSPECDEC_COMMIT=${commit})
endif()

list(JOIN CXX_FLAGS " " flags)
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${WORK_DIR}/build -G ${GENERATOR}
  -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_FLAGS=${flags}
  -DWAY=${WAY} ${from} -DVERSION=${VERSION} -DHELLO_SOURCE=${SOURCE_DIR}/examples/hello.cpp)
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
expect_hello(${WORK_DIR}/build/hello)
