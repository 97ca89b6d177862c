#ifndef FREQUENCIES_COUNTING_HPP
#define FREQUENCIES_COUNTING_HPP

/// @file
/// Generating and counting the texts of many cases, on several threads.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cases.hpp"
#include "tally.hpp"

namespace frequencies {

/// How much is counted, and how.
struct counting {
  std::uint64_t seed = 1;
  std::vector<std::size_t> blocks = {};  ///< of each case, those that were counted before included
  std::size_t threads = 1;
  /// Called now and then from the caller's thread, with the name of a case at work and how many blocks are done in
  /// all: to show how far it is, and to keep what was counted so far, the first blocks of every case.
  std::function<void(const std::string& at_work, std::size_t done, const tallies& so_far)> report = {};
  /// Asked between blocks whether to leave off.
  std::function<bool()> stops = [] { return false; };
};

/// Blocks that are still to be counted.
[[nodiscard]] std::size_t blocks_left(std::span<const generation_case> cases, std::span<const std::size_t> blocks,
                                      const tallies& before);

/// Goes on counting from `before`, until every case has its blocks or it is told to stop; a stopped run loses nothing.
/// The counts depend on seed and blocks alone, whatever the threads and interruptions. What generation throws is thrown
/// when all threads have ended.
[[nodiscard]] tallies count(std::span<const generation_case> cases, const counting& how, tallies before = {});

}  // namespace frequencies

#endif  // FREQUENCIES_COUNTING_HPP
