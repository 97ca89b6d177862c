#ifndef SPECDEC_TESTS_COUNTING_NEW_HPP
#define SPECDEC_TESTS_COUNTING_NEW_HPP

/// @file
/// Linking counting_new.cpp counts what the program allocates, and lets it fail: by an operator new of its own. Under a
/// sanitizer it counts by asking that, which tells of what C allocates, too, and so of the memory of exceptions, and
/// lets nothing fail.

#include <cstddef>

namespace counting_new {

/// Allocations since the program began.
std::size_t allocations() noexcept;

/// Whether the memory of an exception that is thrown counts.
bool counts_exceptions() noexcept;

/// Whether an allocation can be made to fail.
bool can_fail() noexcept;

/// Makes the n-th allocation from now on fail, as if there were no memory, and then none; 0 lets all succeed. Tells
/// whether the one that was asked for before has failed.
bool fail_at(std::size_t n) noexcept;

/// What is live of what was allocated.
struct heap {
  long long blocks = 0;
  long long bytes = 0;

  friend bool operator==(const heap&, const heap&) = default;
};
heap live() noexcept;

}  // namespace counting_new

#endif  // SPECDEC_TESTS_COUNTING_NEW_HPP
