#ifndef ACCEPTANCE_STORE_HPP
#define ACCEPTANCE_STORE_HPP

/// @file
/// The file that a study grows in: one line of JSON for its settings, then one for every finished cell.

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include <nlohmann/json.hpp>

#include "cell.hpp"

namespace acceptance {

/// Cells by name.
using cells = std::map<cell_name, findings>;

/// The file, and what it holds. A run that is killed leaves all the cells it finished: whatever it left of one more is
/// cut off when the file is opened again.
class store {
 public:
  /// Opens the file, or begins it. Throws std::runtime_error naming the file if it cannot be used, if it is none of
  /// this kind, or if it was written with other settings, naming the first that differs.
  store(std::filesystem::path path, const nlohmann::ordered_json& settings);

  [[nodiscard]] const cells& finished() const noexcept { return cells_; }

  /// Appends a cell. Behind it, the line is with the operating system. Throws std::runtime_error naming the file.
  void append(const cell& one);

 private:
  struct closing {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };

  void write(const nlohmann::ordered_json& line);

  std::filesystem::path path_;
  cells cells_;
  std::unique_ptr<std::FILE, closing> file_;
};

/// The cells of a file, whatever its settings, and those. Throws std::runtime_error naming the file if it is none of
/// this kind.
struct contents {
  nlohmann::ordered_json settings;
  cells found;
  std::uintmax_t bytes = 0;  ///< how far it was understood
};
[[nodiscard]] contents read(const std::filesystem::path& path);

}  // namespace acceptance

#endif  // ACCEPTANCE_STORE_HPP
