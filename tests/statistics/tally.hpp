#ifndef FREQUENCIES_TALLY_HPP
#define FREQUENCIES_TALLY_HPP

/// @file
/// The counts of a run, and the file that they grow in.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace frequencies {

/// What was counted of a case: the texts of its first blocks.
struct tally {
  std::size_t blocks = 0;
  std::vector<std::uint64_t> texts;

  friend bool operator==(const tally&, const tally&) = default;
};

/// By the names of their cases.
using tallies = std::map<std::string, tally>;

/// Reads the file of a run, or nothing where there is none. Throws std::runtime_error naming the file if it is none of
/// this kind, contradicts itself, or was written with another seed or by another version.
[[nodiscard]] tallies read_tallies(const std::filesystem::path& path, std::uint64_t seed);

/// Writes the file: beside it first, and then in its place, so that there is never half of one. Throws
/// std::runtime_error naming the file if it cannot be written.
void write_tallies(const std::filesystem::path& path, std::uint64_t seed, const tallies& counted);

}  // namespace frequencies

#endif  // FREQUENCIES_TALLY_HPP
