#include "skip_file.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <program/json.hpp>

namespace layer_search {
namespace {

using nlohmann::json;

// Beyond any model there is.
constexpr std::size_t most_layers = 10'000;
// To show what came, or to go through it, takes as deep a stack as it is nested.
constexpr int deepest = 8;

json read(std::istream& file) {
  return json::parse(file, [](int depth, json::parse_event_t, const json&) {
    if (depth <= deepest) return true;
    throw std::runtime_error(fmt::format("expected an object with lists of layers; got one nested {} deep", depth));
  });
}

/// A value in a message, which stays one readable line.
std::string shown(const json& value) {
  constexpr std::size_t most = 80;
  const std::string text = value.dump(-1, ' ', true);
  return text.size() > most ? text.substr(0, most) + "..." : text;
}

std::size_t layers_of(const json& file) {
  constexpr std::string_view expected = "expected 'layers' to be a number of layers, from 1 up";
  const auto layers = file.find("layers");
  if (layers == file.end()) throw std::runtime_error(fmt::format("{}; found none", expected));
  const bool usable = layers->is_number_unsigned() && *layers >= 1U && *layers <= most_layers;
  if (!usable) throw std::runtime_error(fmt::format("{}; got {}", expected, shown(*layers)));
  return layers->get<std::size_t>();
}

std::vector<std::size_t> list_of(const json& file, const char* name, std::size_t layers) {
  std::vector<std::size_t> result;
  const auto list = file.find(name);
  if (list == file.end()) return result;
  bool usable = list->is_array();
  for (std::size_t i = 0; usable && i < list->size(); ++i) {
    const json& layer = (*list)[i];
    usable = layer.is_number_unsigned() && layer < layers;
    if (usable) result.push_back(layer.get<std::size_t>());
  }
  if (usable) return result;
  throw std::runtime_error(
      fmt::format("expected '{}' to be a list of layers, 0 to {}; got {}", name, layers - 1, shown(*list)));
}

finding finding_of(const json& file) {
  if (!file.is_object()) {
    throw std::runtime_error(
        fmt::format("expected an object with layers, attention and feed_forward; got an {}", file.type_name()));
  }
  const std::size_t layers = layers_of(file);
  finding result{{}, {layers, list_of(file, "attention", layers), list_of(file, "feed_forward", layers)}};
  const auto model = file.find("model");
  if (model != file.end() && model->is_string()) result.model = model->get<std::string>();
  const auto number = [&](const char* name, double& value) {
    const auto found = file.find(name);
    if (found != file.end() && found->is_number()) value = found->get<double>();
  };
  number("tokens_per_second", result.tokens_per_second);
  number("speedup", result.speedup);
  return result;
}

}  // namespace

finding load(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error(
        fmt::format("{}: expected a file that says what to skip: {}", path.string(), std::strerror(errno)));
  }
  try {
    return finding_of(read(file));
  } catch (const json::exception& error) {
    throw std::runtime_error(fmt::format("{}: expected JSON: {}", path.string(), error.what()));
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("{}: {}", path.string(), error.what()));
  }
}

specdec::layer_skip load_layer_skip(const std::filesystem::path& path) { return load(path).skip; }

void save(const finding& found, const std::filesystem::path& path) {
  nlohmann::ordered_json file{
      {"model", found.model},          {"layers", found.skip.layer_count()},           {"attention", json::array()},
      {"feed_forward", json::array()}, {"tokens_per_second", found.tokens_per_second}, {"speedup", found.speedup}};
  for (std::size_t layer = 0; layer < found.skip.layer_count(); ++layer) {
    if (found.skip.skips_attention(layer)) file["attention"].push_back(layer);
    if (found.skip.skips_feed_forward(layer)) file["feed_forward"].push_back(layer);
  }
  // Before what the file holds now is gone. The model's name may be no UTF-8.
  const std::string text = program::on_one_line(file);
  std::ofstream out(path);
  out << text;
  if (!out.flush()) throw std::runtime_error(fmt::format("{}: cannot be written", path.string()));
}

}  // namespace layer_search
