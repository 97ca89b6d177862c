#include "patient.hpp"

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include <measurement/prompts.hpp>

#include "recording.hpp"

namespace doctor {
namespace {

// Room for a few rounds of the longest draft.
constexpr std::size_t least_room = 4 * (longest_draft + 1);

specdec::model_drafter_options drafting(const question& asked) {
  specdec::model_drafter_options how{.top = asked.draft_top};
  if (asked.draft_temperature) {
    how.sampling = asked.sampling;
    how.sampling->temperature = *asked.draft_temperature;
  }
  return how;
}

specdec::generate_options generation(const question& asked, const vocabulary& words, std::size_t capacity,
                                     bool endless) {
  specdec::generate_options how{.max_tokens = capacity, .sampling = asked.sampling, .seed = asked.seed};
  how.end_tokens = words.end_tokens;
  if (endless) how.min_tokens = how.max_tokens;
  return how;
}

}  // namespace

patient::patient(const question& asked, measurement::any_context target, measurement::any_context draft,
                 const vocabulary& words)
    : varied_(asked.sampling.temperature > 0),
      target_(std::move(target)),
      draft_(std::move(draft)),
      drafter_(draft_, specdec::constant{0}, drafting(asked)),
      natural_(target_, std::ref(drafter_), generation(asked, words, target_.capacity(), false)),
      endless_(target_, std::ref(drafter_), generation(asked, words, target_.capacity(), true)) {
  std::vector<measurement::prompt> texts;
  if (asked.prompt) {
    texts.push_back({"", *asked.prompt});
  } else {
    texts = measurement::task_by_task(measurement::read_prompts(asked.prompts));
  }
  std::size_t shortest = static_cast<std::size_t>(-1);
  for (const measurement::prompt& one : texts) {
    std::vector<specdec::token_id> tokens = words.encode(one.text);
    shortest = std::min(shortest, tokens.size());
    if (room_behind(tokens) >= least_room) {
      prompts_.push_back(std::move(tokens));
    } else {
      ++without_room_;
    }
  }
  if (prompts_.empty()) {
    throw std::runtime_error(fmt::format(
        "expected a prompt with room for {} tokens behind it; the contexts hold {} and {} tokens, and the shortest "
        "prompt has {}",
        least_room, target_.capacity(), draft_.capacity(), shortest));
  }
}

std::size_t patient::room_behind(std::span<const specdec::token_id> prompt) const noexcept {
  const std::size_t capacity = std::min(target_.capacity(), draft_.capacity());
  return capacity - std::min(capacity, prompt.size());
}

}  // namespace doctor
