# Makes specdec::llama_cpp, what a program needs besides specdec to use adapters/llama_cpp.hpp, if llama.cpp is there:
#
# - as a target `llama` of the project around this one,
# - or in the folder SPECDEC_LLAMA_ROOT, which has include/llama.h, ggml's headers, and the shared libraries in lib/,
# - or as a package that find_package(llama) finds, unless SPECDEC_LLAMA_CPP is off.
#
# Without it there is no such target, and nothing else changes.
set(SPECDEC_LLAMA_ROOT "" CACHE PATH "A folder with llama.cpp's include/ and lib/, for specdec::llama_cpp")
option(SPECDEC_LLAMA_CPP "Look for an installed llama.cpp, for specdec::llama_cpp" ${PROJECT_IS_TOP_LEVEL})

if(NOT TARGET llama AND NOT SPECDEC_LLAMA_ROOT AND SPECDEC_LLAMA_CPP)
  find_package(llama CONFIG QUIET)
endif()
if(NOT TARGET llama AND NOT SPECDEC_LLAMA_ROOT)
  return()
endif()

add_library(specdec_llama_cpp INTERFACE)
add_library(specdec::llama_cpp ALIAS specdec_llama_cpp)
target_link_libraries(specdec_llama_cpp INTERFACE specdec)
if(SPECDEC_LLAMA_ROOT)
  cmake_path(ABSOLUTE_PATH SPECDEC_LLAMA_ROOT BASE_DIRECTORY ${CMAKE_BINARY_DIR} OUTPUT_VARIABLE llama_root)
  if(NOT EXISTS ${llama_root}/include/llama.h)
    message(FATAL_ERROR "expected llama.h in SPECDEC_LLAMA_ROOT/include; ${llama_root}/include has none")
  endif()
  target_include_directories(specdec_llama_cpp SYSTEM INTERFACE ${llama_root}/include)
  foreach(part llama ggml ggml-base)
    unset(library)
    find_library(library ${part} PATHS ${llama_root}/lib REQUIRED NO_CACHE NO_DEFAULT_PATH)
    target_link_libraries(specdec_llama_cpp INTERFACE ${library})
  endforeach()
  # Backends that are libraries of their own, which load_backends() loads, lie beside them.
  target_compile_definitions(specdec_llama_cpp INTERFACE SPECDEC_LLAMA_CPP_BACKENDS="${llama_root}/lib")
else()
  target_link_libraries(specdec_llama_cpp INTERFACE llama)
endif()
