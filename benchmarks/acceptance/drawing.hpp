#ifndef ACCEPTANCE_DRAWING_HPP
#define ACCEPTANCE_DRAWING_HPP

/// @file
/// What all pictures share: panels, legends, labels, and gnuplot.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace acceptance {

/// A picture as gnuplot's commands, its data within, without terminal and output.
struct picture {
  std::string name;           ///< of its files, without extension
  int width = 0, height = 0;  ///< in points
  std::string commands;
};

/// Draws pictures into the folder, each as SVG and PNG; returns what is missing to do so, in words, or nothing.
/// Throws std::runtime_error if gnuplot fails.
[[nodiscard]] std::string draw(const std::vector<picture>& pictures, const std::filesystem::path& folder);

/// Lengths on paper, in points.
struct frame {
  double left, right, top, bottom;
};

/// Equal panels within a picture.
class grid {
 public:
  grid(std::size_t columns, std::size_t rows, double panel_width, double panel_height, frame around, double gap_x,
       double gap_y);

  [[nodiscard]] int width() const;
  [[nodiscard]] int height() const;
  /// A place in gnuplot's screen coordinates.
  [[nodiscard]] double screen_x(double from_left) const { return from_left / width_; }
  [[nodiscard]] double screen_y(double from_top) const { return 1 - from_top / height_; }
  /// The commands that put the next plot into a panel.
  [[nodiscard]] std::string place(std::size_t column, std::size_t row) const;

 private:
  double panel_width_, panel_height_;
  frame around_;
  double gap_x_, gap_y_;
  double width_, height_;
};

/// What a kind of line or point means.
struct legend_entry {
  std::string title, color;
  int point = 0;     ///< 0 for none
  std::string dash;  ///< of the line, as "dt 1"; empty for none
};

/// A row of samples and their titles above the panels. gnuplot's own key breaks rows where a panel ends.
class legend {
 public:
  legend(const grid& panels, const std::vector<legend_entry>& entries);

  /// The commands that show it with the next plot, and those that show it no more.
  [[nodiscard]] const std::string& set() const noexcept { return set_; }
  [[nodiscard]] const std::string& unset() const noexcept { return unset_; }

 private:
  std::string set_, unset_;
};

/// Axes without ornament.
extern const std::string_view plain_axes;

/// The text as gnuplot's literal, in which nothing is a command but the marks of enhanced text; on one line.
[[nodiscard]] std::string literal(std::string_view text);

/// A named block of data lines.
[[nodiscard]] std::string data_block(const std::string& name, const std::string& lines);

/// Moves places apart along an axis until each has its room, as little as possible and in their order.
[[nodiscard]] std::vector<double> spread(const std::vector<double>& wanted, double room);

}  // namespace acceptance

#endif  // ACCEPTANCE_DRAWING_HPP
