#ifndef GENERATE_TEXT_STREAM_HPP
#define GENERATE_TEXT_STREAM_HPP

/// @file
/// From tokens to text on a screen.

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <program/terminal.hpp>
#include <specdec/specdec.hpp>

#include "utf8.hpp"

namespace generate {

using program::style;
using program::terminal;

/// Tells the bytes of a token.
using token_text = std::function<std::string_view(specdec::token_id)>;

/// A generated text.
struct written_text {
  std::string whole;
  /// What each token completed. Joined, they are the text, but for the beginning of a token that a stop text cut.
  std::vector<std::string> pieces;
};

/// A sink for rounds: keeps their text, and shows it.
class text_stream {
 public:
  enum class showing { as_it_comes, at_its_end };

  /// Shows nothing if `out` is null.
  text_stream(token_text piece, const terminal* out, showing when) : piece_(std::move(piece)), out_(out), when_(when) {}

  /// Shows what is not generated: a heading, the prompt.
  void show(style as, std::string_view text);

  void operator()(const specdec::outcome& round);

  /// Ends the text; another one may begin.
  [[nodiscard]] written_text finish();

 private:
  void take(style as, std::string_view text);

  token_text piece_;
  const terminal* out_;
  showing when_;
  utf8_stream characters_;
  written_text text_;
  bool cut_ = false;
  std::string to_show_;
};

}  // namespace generate

#endif  // GENERATE_TEXT_STREAM_HPP
