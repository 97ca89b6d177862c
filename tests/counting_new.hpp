#ifndef SPECDEC_TESTS_COUNTING_NEW_HPP
#define SPECDEC_TESTS_COUNTING_NEW_HPP

/// @file
/// Linking counting_new.cpp replaces the program's operator new by one that counts.

#include <cstddef>

namespace counting_new {

/// Calls of operator new since the program began.
std::size_t allocations() noexcept;

}  // namespace counting_new

#endif  // SPECDEC_TESTS_COUNTING_NEW_HPP
