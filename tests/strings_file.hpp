#ifndef SPECDEC_TESTS_STRINGS_FILE_HPP
#define SPECDEC_TESTS_STRINGS_FILE_HPP

/// @file
/// Strings of any bytes in a file, for two processes of one test.

#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

namespace strings_file {

inline void write(const std::string& path, const std::vector<std::string>& strings) {
  std::ofstream file(path, std::ios::binary);
  for (const std::string& s : strings) file << s.size() << ' ' << s;
}

inline std::vector<std::string> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> strings;
  for (std::size_t size = 0; file >> size;) {
    file.get();
    strings.emplace_back(size, '\0');
    file.read(strings.back().data(), static_cast<std::streamsize>(size));
  }
  return strings;
}

}  // namespace strings_file

#endif  // SPECDEC_TESTS_STRINGS_FILE_HPP
