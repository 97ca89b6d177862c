#include "progress_bar.hpp"

#include <unistd.h>

#include <string>

#include <fmt/format.h>

#include <specdec/decode/clock.hpp>

namespace layer_search {

progress_bar::progress_bar(std::FILE* stream, std::size_t steps)
    : stream_(stream), visible_(isatty(fileno(stream)) != 0), steps_(steps), begun_(specdec::seconds_now()) {}

progress_bar::~progress_bar() { clear(); }

void progress_bar::clear() {
  if (visible_) fmt::print(stream_, "\r\x1b[K");
  std::fflush(stream_);
}

void progress_bar::show(std::size_t done, std::string_view note) {
  if (!visible_) return;
  constexpr std::size_t width = 24;
  const std::size_t filled = width * done / steps_;
  std::string left = "";
  if (done > 0) {
    const double each = (specdec::seconds_now() - begun_) / static_cast<double>(done);
    const auto seconds = static_cast<std::size_t>(each * static_cast<double>(steps_ - done) + 0.5);
    left = fmt::format(", {}:{:02} left", seconds / 60, seconds % 60);
  }
  clear();
  fmt::print(stream_, "[{:#<{}}{:.<{}}] {}/{}{}  {}", "", filled, "", width - filled, done, steps_, left, note);
  std::fflush(stream_);
}

void progress_bar::write_line(std::string_view line) {
  clear();
  fmt::print(stream_, "{}\n", line);
  std::fflush(stream_);
}

}  // namespace layer_search
