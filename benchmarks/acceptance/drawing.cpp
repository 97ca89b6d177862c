#include "drawing.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>

#include <program/text.hpp>

namespace acceptance {

grid::grid(std::size_t columns, std::size_t rows, double panel_width, double panel_height, frame around, double gap_x,
           double gap_y)
    : panel_width_(panel_width), panel_height_(panel_height), around_(around), gap_x_(gap_x), gap_y_(gap_y) {
  const auto c = static_cast<double>(columns), r = static_cast<double>(rows);
  width_ = around.left + c * panel_width + (c - 1) * gap_x + around.right;
  height_ = around.top + r * panel_height + (r - 1) * gap_y + around.bottom;
}

int grid::width() const { return static_cast<int>(std::lround(width_)); }
int grid::height() const { return static_cast<int>(std::lround(height_)); }

std::string grid::place(std::size_t column, std::size_t row) const {
  const double left = around_.left + static_cast<double>(column) * (panel_width_ + gap_x_);
  const double top = around_.top + static_cast<double>(row) * (panel_height_ + gap_y_);
  return fmt::format(
      "set lmargin at screen {:.4f}; set rmargin at screen {:.4f}\n"
      "set tmargin at screen {:.4f}; set bmargin at screen {:.4f}\n",
      left / width_, (left + panel_width_) / width_, 1 - top / height_, 1 - (top + panel_height_) / height_);
}

legend::legend(const grid& panels, const std::vector<legend_entry>& entries) {
  // Far from the numbers that pictures use themselves.
  constexpr int first = 500;
  const auto letters = [](const std::string& utf8) {
    return static_cast<double>(std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xc0) != 0x80; }));
  };
  constexpr double sample = 26, gap = 8, letter = 6.3, space = 24, from_top = 16;
  double width = -space;
  for (const legend_entry& one : entries) width += sample + gap + letter * letters(one.title) + space;
  double x = (panels.width() - width) / 2;
  const double y = panels.screen_y(from_top);
  int number = first;
  for (const legend_entry& one : entries) {
    if (!one.dash.empty()) {
      set_ +=
          fmt::format("set arrow {} from screen {:.4f},{:.4f} to screen {:.4f},{:.4f} nohead lw 2 {} lc rgb \"#{}\"\n",
                      number, panels.screen_x(x), y, panels.screen_x(x + sample), y, one.dash, one.color);
      unset_ += fmt::format("unset arrow {}\n", number);
    }
    set_ +=
        fmt::format("set label {} \"\" at screen {:.4f},{:.4f} point pt {} ps {} lc rgb \"#{}\"\n", number,
                    panels.screen_x(x + sample / 2), y, std::max(one.point, 1), one.point > 0 ? 0.8 : 0.0, one.color);
    set_ += fmt::format("set label {} \"{}\" at screen {:.4f},{:.4f} left\n", number + 1, one.title,
                        panels.screen_x(x + sample + gap), y);
    unset_ += fmt::format("unset label {}\nunset label {}\n", number, number + 1);
    x += sample + gap + letter * letters(one.title) + space;
    number += 2;
  }
}

const std::string_view plain_axes = R"(set encoding utf8
set border 3 lc rgb "#606060" lw 1
set tics nomirror out scale 0.6 textcolor rgb "#303030"
set grid ytics lc rgb "#E4E4E4" lw 1 lt 1
set errorbars small
set key off
)";

std::string literal(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') result += c;
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result += "'";
}

std::string data_block(const std::string& name, const std::string& lines) {
  return fmt::format("${} << END\n{}END\n", name, lines);
}

// Moves places apart along an axis until each has its room, as little as possible and in their order.
std::vector<double> spread(const std::vector<double>& wanted, double room) {
  std::vector<std::size_t> order(wanted.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });
  // Neighbours that would overlap form a group around their mean.
  struct group {
    double sum = 0;
    std::size_t count = 0;
    [[nodiscard]] double middle() const { return sum / static_cast<double>(count); }
  };
  std::vector<group> groups;
  for (const std::size_t i : order) {
    groups.push_back({wanted[i], 1});
    while (groups.size() > 1) {
      const group &a = groups[groups.size() - 2], &b = groups.back();
      if (b.middle() - a.middle() >= room * static_cast<double>(a.count + b.count) / 2) break;
      groups[groups.size() - 2] = {a.sum + b.sum, a.count + b.count};
      groups.pop_back();
    }
  }
  std::vector<double> places(wanted.size());
  std::size_t next = 0;
  for (const group& one : groups) {
    for (std::size_t i = 0; i < one.count; ++i) {
      places[order[next++]] = one.middle() + room * (static_cast<double>(i) - static_cast<double>(one.count - 1) / 2);
    }
  }
  return places;
}

std::string draw(const std::vector<picture>& pictures, const std::filesystem::path& folder) {
  if (std::system("command -v gnuplot >/dev/null 2>&1") != 0) {
    return "gnuplot is missing, so there are no pictures: install gnuplot-nox, then --plot-only draws them";
  }
  for (const picture& one : pictures) {
    const std::filesystem::path script = folder / (one.name + ".gnuplot");
    std::ofstream file(script);
    file << fmt::format("set terminal svg size {},{} font \"Helvetica,12\" background rgb \"white\" dynamic\n",
                        one.width, one.height)
         << "set output \"" << one.name << ".svg\"\n"
         << one.commands << "set output\nreset\n"
         << fmt::format("set terminal pngcairo size {},{} font \"Sans,9\" fontscale 2 linewidth 2 pointscale 2\n",
                        2 * one.width, 2 * one.height)
         << "set output \"" << one.name << ".png\"\n"
         << one.commands << "set output\n";
    file.close();
    const std::string command = fmt::format("cd {} && gnuplot {}", program::shell_word(folder.string()),
                                            program::shell_word(script.filename().string()));
    if (!file || std::system(command.c_str()) != 0) {
      throw std::runtime_error(fmt::format("{}: gnuplot could not draw it", script.string()));
    }
  }
  return "";
}

}  // namespace acceptance
