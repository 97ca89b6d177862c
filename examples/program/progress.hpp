#ifndef PROGRAM_PROGRESS_HPP
#define PROGRAM_PROGRESS_HPP

/// @file
/// How far a long piece of work is, and how long it will go on.

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace program {

/// Seconds as people say them: "40 s", "3 min 20 s", "2 h 5 min".
[[nodiscard]] std::string duration(double seconds);

/// A bar on one line of a terminal, drawn over and over; where there is no terminal, a plain line for every twentieth
/// of the work. Where the stream takes no more, there is none: progress is no reason to fail.
class progress_bar {
 public:
  /// `total` is the work to do, in whatever unit each step tells; `done` of it was done earlier, and tells nothing of
  /// how long the rest takes.
  progress_bar(std::FILE* stream, double total, double done = 0);
  /// Leaves the line to whoever writes next.
  ~progress_bar();

  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;

  /// Shows what is being done.
  void show(std::string_view what);
  /// So much more was done.
  void step(double work, std::string_view what);
  /// Writes a line that stays, above the bar.
  void write_line(std::string_view text);

  /// The line for a state: a bar of ten columns, per cent, time left if it can be told, and what is being done.
  [[nodiscard]] static std::string line(double share, double seconds_left, std::string_view what);

 private:
  void clear();
  [[nodiscard]] double share() const noexcept { return total_ > 0 ? done_ / total_ : 1; }
  [[nodiscard]] double seconds_left() const;

  std::FILE* stream_;
  bool is_terminal_;
  double total_, done_, at_start_;
  int last_line_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace program

#endif  // PROGRAM_PROGRESS_HPP
