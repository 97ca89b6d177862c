#ifndef PROGRAM_TERMINAL_HPP
#define PROGRAM_TERMINAL_HPP

/// @file
/// Writing to a person or to a program.

#include <cstdio>
#include <string>
#include <string_view>

namespace program {

/// What a piece of text is, told by colour where there is colour.
enum class style { plain, prompt, drafted, refused, heading, quiet, good };

/// One of the standard streams. Uses colour only if it is allowed, the stream is a terminal, and NO_COLOR is not set.
class terminal {
 public:
  terminal(std::FILE* stream, bool color_allowed);

  [[nodiscard]] bool color() const noexcept { return color_; }

  /// The text in its colour, or as it is.
  [[nodiscard]] std::string styled(style as, std::string_view text) const;

  /// The same for text from a model: on a terminal, control characters other than line feed and tab become U+FFFD, so
  /// that no model can command it; U+0080 to U+009F too. Precondition: no character is cut in two.
  [[nodiscard]] std::string shown(style as, std::string_view text) const;

  /// Writes the text as it is `shown`, and sends it off. Throws std::runtime_error if the stream takes no more.
  void write(style as, std::string_view text) const;

  /// Writes text that `styled` or `shown` made.
  void write_styled(std::string_view text) const;

  /// Ends the output: what a file system found wrong late is told too. Throws as `write`.
  void close() const;

 private:
  std::FILE* stream_;
  bool is_terminal_;
  bool color_;
};

}  // namespace program

#endif  // PROGRAM_TERMINAL_HPP
