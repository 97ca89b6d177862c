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

program::language_model load_draft(const options& asked, const program::language_model& target) {
  program::language_model draft = program::load_model(asked.draft, {asked.weights, asked.draft_ballast, asked.threads});
  require_same_vocabulary(target, draft);
  return draft;
}

specdec::model_drafter_options drafting(const options& asked) {
  specdec::model_drafter_options how{.top = asked.draft_top};
  if (asked.draft_temperature) {
    how.sampling = asked.sampling;
    how.sampling->temperature = *asked.draft_temperature;
  }
  return how;
}

specdec::generate_options generation(const options& asked, const toy::tokenizer& tokenizer, const toy::context& context,
                                     bool endless) {
  specdec::generate_options how{.max_tokens = context.capacity(), .sampling = asked.sampling, .seed = asked.seed};
  if (tokenizer.eos()) how.end_tokens = {*tokenizer.eos()};
  if (endless) how.min_tokens = how.max_tokens;
  return how;
}

}  // namespace

patient::patient(const options& asked)
    : target_(program::load_model(asked.target, {asked.weights, asked.ballast, asked.threads})),
      draft_(load_draft(asked, target_)),
      varied_(asked.sampling.temperature > 0),
      target_context_(target_.model),
      draft_context_(draft_.model),
      drafter_(draft_context_, specdec::constant{0}, drafting(asked)),
      natural_(target_context_, std::ref(drafter_), generation(asked, target_.tokenizer, target_context_, false)),
      endless_(target_context_, std::ref(drafter_), generation(asked, target_.tokenizer, target_context_, true)) {
  std::vector<measurement::prompt> texts;
  if (asked.prompt) {
    texts.push_back({"", *asked.prompt});
  } else {
    texts = measurement::task_by_task(measurement::read_prompts(asked.prompts));
  }
  std::size_t shortest = static_cast<std::size_t>(-1);
  for (const measurement::prompt& one : texts) {
    std::vector<specdec::token_id> tokens = target_.tokenizer.encode(one.text);
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
        least_room, target_context_.capacity(), draft_context_.capacity(), shortest));
  }
}

std::size_t patient::room_behind(std::span<const specdec::token_id> prompt) const noexcept {
  const std::size_t capacity = std::min(target_context_.capacity(), draft_context_.capacity());
  return capacity - std::min(capacity, prompt.size());
}

}  // namespace doctor
