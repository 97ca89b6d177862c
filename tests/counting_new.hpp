#ifndef SPECDEC_TESTS_COUNTING_NEW_HPP
#define SPECDEC_TESTS_COUNTING_NEW_HPP

/// @file
/// Linking counting_new.cpp counts what the program allocates: by an operator new of its own, or, under a sanitizer, by
/// asking that. It tells of what C allocates, too, and so of the memory of exceptions.

#include <cstddef>

namespace counting_new {

/// Allocations since the program began.
std::size_t allocations() noexcept;

/// Whether the memory of an exception that is thrown counts.
bool counts_exceptions() noexcept;

/// What is live of what was allocated.
struct heap {
  long long blocks = 0;
  long long bytes = 0;

  friend bool operator==(const heap&, const heap&) = default;
};
heap live() noexcept;

}  // namespace counting_new

#endif  // SPECDEC_TESTS_COUNTING_NEW_HPP
