#ifndef LAYER_SEARCH_PROGRESS_BAR_HPP
#define LAYER_SEARCH_PROGRESS_BAR_HPP

/// @file
/// How far a long task is.

#include <cstddef>
#include <cstdio>
#include <string_view>

namespace layer_search {

/// A bar with a count, a note and the time left, in the last line of a terminal; nothing where the stream is none.
class progress_bar {
 public:
  progress_bar(std::FILE* stream, std::size_t steps);
  /// Takes the bar away.
  ~progress_bar();
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  /// Draws the bar behind so many steps. The steps to come are taken to last as long as those behind did on average.
  void show(std::size_t done, std::string_view note);

  /// Writes a line that stays, above the bar.
  void write_line(std::string_view line);

 private:
  void clear();

  std::FILE* stream_;
  bool visible_;
  std::size_t steps_;
  double begun_;
};

}  // namespace layer_search

#endif  // LAYER_SEARCH_PROGRESS_BAR_HPP
