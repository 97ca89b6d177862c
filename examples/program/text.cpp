#include "text.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace program {

std::string milliseconds(double seconds) {
  const double ms = seconds * 1e3;
  return fmt::format("{:.{}f} ms", ms, ms < 1 ? 3 : ms < 10 ? 2 : ms < 100 ? 1 : 0);
}

std::string parameters(std::size_t value) {
  const auto number = static_cast<double>(value);
  return number < 1e9 ? fmt::format("{:.{}f}M", number / 1e6, number < 1e8 ? 1 : 0)
                      : fmt::format("{:.2f}G", number / 1e9);
}

std::string percent(double share) { return fmt::format("{:.0f}%", 100 * share); }

std::string bar(double share, std::size_t width) {
  constexpr std::array<std::string_view, 8> parts{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<std::size_t>(std::lround(share * 8 * static_cast<double>(width)));
  std::string result;
  for (std::size_t i = 0; i < eighths / 8; ++i) result += "█";
  return result.append(parts[eighths % 8]);
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (!text.empty() && text.find_first_not_of(plain) == std::string_view::npos) return std::string(text);
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      result += c;
    }
  }
  return result += "'";
}

std::string wrapped(std::string_view text, std::size_t width, std::string_view indent) {
  std::string result, line(indent);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    const bool first = line.size() == indent.size();
    if (!first && line.size() + 1 + word.size() > width) {
      result.append(line).append("\n");
      line = indent;
    } else if (!first) {
      line += ' ';
    }
    line += word;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result.append(line).append("\n");
}

}  // namespace program
