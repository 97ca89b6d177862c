#include "text_stream.hpp"

#include <utility>

namespace generate {

void text_stream::show(style as, std::string_view text) {
  if (out_ == nullptr) return;
  if (when_ == showing::as_it_comes) {
    out_->write(as, text);
  } else {
    to_show_ += out_->shown(as, text);
  }
}

void text_stream::take(style as, std::string_view text) {
  text_.whole += text;
  show(as, text);
}

void text_stream::operator()(const specdec::outcome& round) {
  std::string_view bytes = round.text;
  for (const specdec::emitted_token& token : round.tokens) {
    const std::size_t size = piece_(token.id).size();
    text_.pieces.push_back(characters_.push(bytes.substr(0, size)));
    bytes.remove_prefix(size);
    take(token.origin == specdec::provenance::drafted ? style::drafted : style::plain, text_.pieces.back());
  }
  // What is left belongs to a token that a stop text begins inside.
  if (bytes.empty()) return;
  cut_ = true;
  take(style::plain, characters_.push(bytes));
}

written_text text_stream::finish() {
  const std::string rest = characters_.finish();
  if (!text_.pieces.empty() && !cut_) text_.pieces.back() += rest;
  take(style::plain, rest);
  show(style::plain, "\n");
  if (out_ != nullptr) out_->write_styled(std::exchange(to_show_, {}));
  cut_ = false;
  return std::exchange(text_, {});
}

}  // namespace generate
