#include "values.hpp"

namespace program {

std::size_t parse_size(std::string_view name, std::string_view text) {
  constexpr std::string_view expected = "a number of parameters such as 150M (K, M and G are understood)";
  std::string_view digits = text;
  double unit = 1;
  if (!digits.empty()) {
    switch (digits.back()) {
      case 'K':
      case 'k':
        unit = 1e3;
        break;
      case 'M':
      case 'm':
        unit = 1e6;
        break;
      case 'G':
      case 'g':
        unit = 1e9;
        break;
      default:
        break;
    }
    if (unit > 1) digits.remove_suffix(1);
  }
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  constexpr double most = 1e12;
  if (error != std::errc{} || end != digits.data() + digits.size() || !(value >= 0 && value * unit <= most)) {
    throw usage_error(fmt::format("{}: expected {}; got '{}'", name, expected, text));
  }
  return static_cast<std::size_t>(value * unit);
}

toy::weight_format parse_weights(std::string_view name, std::string_view text) {
  if (text == "f16") return toy::weight_format::float16;
  if (text == "f32") return toy::weight_format::float32;
  throw usage_error(fmt::format("{}: expected f32 or f16; got '{}'", name, text));
}

std::string unescaped(std::string_view text) {
  constexpr std::string_view names = "nrt\\", values = "\n\r\t\\";
  std::string result;
  while (!text.empty()) {
    const std::size_t name = text.size() > 1 && text[0] == '\\' ? names.find(text[1]) : std::string_view::npos;
    unsigned char byte = 0;
    if (name != std::string_view::npos) {
      result += values[name];
      text.remove_prefix(2);
    } else if (text.size() >= 4 && text.starts_with("\\x") &&
               std::from_chars(text.data() + 2, text.data() + 4, byte, 16).ptr == text.data() + 4) {
      result += static_cast<char>(byte);
      text.remove_prefix(4);
    } else {
      result += text.front();
      text.remove_prefix(1);
    }
  }
  return result;
}

}  // namespace program
