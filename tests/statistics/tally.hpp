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

/// Keeps the file of a run from other runs, which would each undo what the others count, as long as it lives. Throws
/// std::runtime_error naming the file if another run has it, or none can be there.
class sole_use {
 public:
  explicit sole_use(const std::filesystem::path& path);
  ~sole_use();
  sole_use(const sole_use&) = delete;
  sole_use& operator=(const sole_use&) = delete;

 private:
  std::filesystem::path lock_;
  int file_ = -1;
};

/// Reads the file of a run, or nothing where there is none. Throws std::runtime_error naming the file if it is none of
/// this kind, contradicts itself, or was written with another seed or by another version.
[[nodiscard]] tallies read_tallies(const std::filesystem::path& path, std::uint64_t seed);

/// Writes the file: beside it first, and then in its place, so that there is never half of one. Throws
/// std::runtime_error naming the file if it cannot be written.
void write_tallies(const std::filesystem::path& path, std::uint64_t seed, const tallies& counted);

}  // namespace frequencies

#endif  // FREQUENCIES_TALLY_HPP
