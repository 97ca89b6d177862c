#include "progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace program {
namespace {

constexpr double twentieths = 20;

}  // namespace

std::string duration(double seconds) {
  const long whole = std::lround(std::max(seconds, 0.0));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  const long minutes = (whole + 30) / 60;
  return minutes < 60 ? fmt::format("{} min", minutes) : fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

progress_bar::progress_bar(std::FILE* stream, double total, double done)
    : stream_(stream),
      is_terminal_(isatty(fileno(stream)) != 0),
      total_(total),
      done_(done),
      at_start_(done),
      last_line_(static_cast<int>(std::floor(share() * twentieths))),
      start_(std::chrono::steady_clock::now()) {}

progress_bar::~progress_bar() { clear(); }

void progress_bar::clear() {
  if (is_terminal_) std::fputs("\r\x1b[K", stream_);
  std::fflush(stream_);
}

double progress_bar::seconds_left() const {
  const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  return done_ > at_start_ ? spent * (total_ - done_) / (done_ - at_start_) : -1;
}

void progress_bar::show(std::string_view what) {
  if (is_terminal_) {
    std::fputs(fmt::format("\r{}\x1b[K", line(share(), seconds_left(), what)).c_str(), stream_);
  } else if (const int now = static_cast<int>(std::floor(share() * twentieths + 1e-9)); now > last_line_) {
    last_line_ = now;
    std::fputs(fmt::format("{}\n", line(share(), seconds_left(), what)).c_str(), stream_);
  }
  std::fflush(stream_);
}

void progress_bar::step(double work, std::string_view what) {
  done_ += work;
  show(what);
}

void progress_bar::write_line(std::string_view text) {
  clear();
  std::fputs(fmt::format("{}\n", text).c_str(), stream_);
  std::fflush(stream_);
}

std::string progress_bar::line(double share, double seconds_left, std::string_view what) {
  constexpr int width = 10;
  const int full = static_cast<int>(std::floor(std::clamp(share, 0.0, 1.0) * width + 1e-9));
  std::string bar;
  for (int i = 0; i < width; ++i) bar += i < full ? "█" : "░";
  const std::string left = seconds_left < 0 ? "" : fmt::format("  {} left", duration(seconds_left));
  return fmt::format("{} {:>3.0f} %{}  {}", bar, std::floor(100 * share + 1e-9), left, what);
}

}  // namespace program
