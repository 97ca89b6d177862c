#ifndef GENERATE_TEST_PROGRAM_HPP
#define GENERATE_TEST_PROGRAM_HPP

/// @file
/// Runs the program `generate`.

#include "../program.hpp"

namespace generate_test {

using namespace program_test;

inline const arguments quick{"-p", "Once upon a time", "-n", "24", "--no-baseline"};

}  // namespace generate_test

#endif  // GENERATE_TEST_PROGRAM_HPP
