#include "terminal.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>

namespace program {
namespace {

std::string_view escape_of(style as) {
  switch (as) {
    case style::plain:
      return "";
    case style::prompt:
    case style::quiet:
      return "\x1b[2m";
    case style::drafted:
      return "\x1b[32m";
    case style::refused:
      return "\x1b[31m";
    case style::heading:
      return "\x1b[1m";
    case style::good:
      return "\x1b[1;32m";
  }
  return "";
}

std::string printable(std::string_view text) {
  std::string result;
  const auto byte_at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = byte_at(i);
    // U+0080 to U+009F, of which U+009B begins commands as the escape character does, and U+009D titles.
    const bool is_high = byte == 0xc2 && byte_at(i + 1) >= 0x80 && byte_at(i + 1) <= 0x9f;
    if (is_high || (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
      result += "\xef\xbf\xbd";
      i += is_high ? 1 : 0;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::runtime_error cannot_write() {
  return std::runtime_error(fmt::format("the output cannot be written: {}", std::strerror(errno)));
}

}  // namespace

terminal::terminal(std::FILE* stream, bool color_allowed)
    : stream_(stream), is_terminal_(isatty(fileno(stream)) != 0), color_(false) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  color_ = color_allowed && is_terminal_ && (no_color == nullptr || *no_color == '\0') &&
           (kind == nullptr || std::string_view(kind) != "dumb");
}

std::string terminal::styled(style as, std::string_view text) const {
  const std::string_view escape = color_ ? escape_of(as) : std::string_view{};
  return escape.empty() ? std::string(text) : fmt::format("{}{}\x1b[0m", escape, text);
}

std::string terminal::shown(style as, std::string_view text) const {
  if (text.empty()) return {};
  return is_terminal_ ? styled(as, printable(text)) : styled(as, text);
}

void terminal::write(style as, std::string_view text) const {
  if (!text.empty()) write_styled(shown(as, text));
}

void terminal::write_styled(std::string_view text) const {
  if (std::fwrite(text.data(), 1, text.size(), stream_) != text.size() || std::fflush(stream_) != 0) {
    throw cannot_write();
  }
}

void terminal::close() const {
  const bool failed = std::ferror(stream_) != 0;
  if (std::fclose(stream_) != 0 || failed) throw cannot_write();
}

}  // namespace program
