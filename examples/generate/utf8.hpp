#ifndef GENERATE_UTF8_HPP
#define GENERATE_UTF8_HPP

/// @file
/// Bytes to text, when the bytes come in pieces that know nothing of characters.

#include <string>
#include <string_view>

namespace generate {

/// Turns a stream of bytes into valid UTF-8: a character whose bytes have not all come is held back, and what can be
/// no character becomes U+FFFD, one for each maximal part of one (Unicode 15, section 3.9). The output does not depend
/// on how the bytes were cut into pieces.
class utf8_stream {
 public:
  /// The text that `bytes` completes.
  [[nodiscard]] std::string push(std::string_view bytes);
  /// What remains at the end: nothing, or U+FFFD for a character that was never completed.
  [[nodiscard]] std::string finish();

 private:
  std::string held_;
};

}  // namespace generate

#endif  // GENERATE_UTF8_HPP
