#include "generator.hpp"

#include <algorithm>
#include <utility>

#include <program/interruption.hpp>

namespace measurement {

generator::generator(any_context&& target, specdec::any_drafter drafter, const specdec::generate_options& options,
                     any_rule rule)
    : target_(std::move(target)),
      drafter_(std::move(drafter)),
      prompt_(target_.vocab_size(), options, std::move(rule)),
      text_(prompt_) {
  prompt_.limit(target_.capacity());
}

specdec::statistics generator::read(std::span<const specdec::token_id> prompt, const round_sink& sink) {
  // The first use of memory is not the prompt's fault.
  (void)target_.decode(prompt.first(std::min<std::size_t>(prompt.size(), 1)), 0);
  target_.truncate(0);
  prompt_.begin(prompt);
  text_ = prompt_;
  const auto stop = [&](const specdec::outcome& out) {
    sink(out);
    return false;
  };
  specdec::speculative_generate(text_, target_, drafter_, stop);
  return text_.stats();
}

specdec::generation generator::run(std::uint32_t stream, std::size_t rounds, const round_sink& sink) {
  // The target tells what it holds, so no text feeds the prompt again, whichever text was the last.
  text_ = prompt_.fork(stream);
  return go_on(rounds, sink);
}

specdec::generation generator::go_on(std::size_t rounds, const round_sink& sink) {
  text_.resume();
  specdec::generation result;
  result.candidates_per_token = prompt_.options().top_log_probabilities;
  const auto keep = [&](const specdec::outcome& out) {
    const auto candidates = out.top.entries();
    result.tokens.insert(result.tokens.end(), out.tokens.begin(), out.tokens.end());
    result.candidates.insert(result.candidates.end(), candidates.begin(), candidates.end());
    result.text += out.text;
    sink(out);
    return --rounds > 0;
  };
  specdec::speculative_generate(text_, target_, drafter_, keep, program::interruption{});
  result.status = text_.status();
  result.stats = text_.stats();
  return result;
}

}  // namespace measurement
