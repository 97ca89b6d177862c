#ifndef LAYER_SEARCH_SKIP_FILE_HPP
#define LAYER_SEARCH_SKIP_FILE_HPP

/// @file
/// What to skip, in a file:
///
///     {"model": "target.gguf", "layers": 8, "attention": [3, 5], "feed_forward": [4],
///      "tokens_per_second": 812.5, "speedup": 1.1}
///
/// The lists name the layers whose block is left out, the first layer being 0. Only "layers" is needed.

#include <filesystem>
#include <string>

#include <specdec/layer_skip.hpp>

namespace layer_search {

/// What was found for a model.
struct finding {
  std::string model;
  specdec::layer_skip skip;
  double tokens_per_second = 0;
  double speedup = 0;  ///< over plain decoding; 0 where it was not measured
};

/// Reads a file. Throws std::runtime_error naming the file, what was expected and what came. Whether it fits a model,
/// `specdec::layer_skip::require_layers` says.
[[nodiscard]] finding load(const std::filesystem::path& path);

/// What to skip, from such a file. Throws as `load`.
[[nodiscard]] specdec::layer_skip load_layer_skip(const std::filesystem::path& path);

/// Writes a file. Throws std::runtime_error naming it if it cannot be written.
void save(const finding& found, const std::filesystem::path& path);

}  // namespace layer_search

#endif  // LAYER_SEARCH_SKIP_FILE_HPP
