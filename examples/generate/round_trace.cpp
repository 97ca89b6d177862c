#include "round_trace.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include <fmt/format.h>

#include "report.hpp"

namespace generate {

std::string round_trace::quoted(specdec::token_id token) const {
  const std::string_view piece = engine_->piece(token);
  if (!piece.empty()) return fmt::format("{:?}", piece);
  const std::vector<specdec::token_id>& ends = engine_->end_tokens();
  const bool is_end = std::find(ends.begin(), ends.end(), token) != ends.end();
  return is_end ? "<end>" : fmt::format("<token {}>", token);
}

void round_trace::operator()(const specdec::outcome& round, const measurement::text_session& text) const {
  std::string line = fmt::format("round {:<3} {:>2} of {:<2}", round.round + 1, round.accepted, round.drafted.size());
  for (std::size_t i = 0; i < round.drafted.size(); ++i) {
    const bool rejected = i == round.accepted && round.end == specdec::round_end::rejected;
    const auto mark = [&](style as, std::string_view sign) {
      line += ' ' + out_->styled(as, fmt::format("{}{}", sign, quoted(round.drafted[i])));
    };
    if (i < round.accepted) {
      mark(style::drafted, "✓");
    } else if (rejected) {
      mark(style::refused, "✗");
    } else {
      mark(style::quiet, "·");
    }
  }
  // Not from the round's tokens: those may be waiting, if they may begin a stop text.
  const std::string last = quoted(text.tokens().back());
  line += round.drafted.empty() ? " " : "  ";
  switch (round.end) {
    case specdec::round_end::rejected:
      line += fmt::format("rejected: {} instead", last);
      break;
    case specdec::round_end::all_accepted:
      line += fmt::format("{}: {}", round.drafted.empty() ? "nothing drafted" : "all kept, and one more", last);
      break;
    default:
      line += fmt::format("ended by {}", last);
      break;
  }
  if (!text.running()) line += ending(round.status, stop_text_of(text));
  out_->write_styled(line + '\n');
}

}  // namespace generate
