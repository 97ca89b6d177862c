#include "work.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include <program/interruption.hpp>

namespace study {

using measurement::generator;
using program::interruption;

specdec::generate_options setting::options() const {
  return {.max_tokens = tokens, .sampling = {.temperature = temperature}, .seed = seed};
}

measurement::method_settings setting::method_settings() const { return {.draft_top = 0, .greedy = temperature == 0}; }

counted& counted::operator+=(const counted& other) {
  stats += other.stats;
  counts += other.counts;
  text += other.text;
  return *this;
}

double counted::tokens_per_call() const noexcept {
  const std::uint64_t rounds = counts.rounds();
  return rounds == 0 ? 0 : static_cast<double>(counts.delivered) / static_cast<double>(rounds);
}

counted count(const setting& how, const measurement::model_pair& models, std::span<const tokens> prompts) {
  counted found;
  toy::context target(models.target.model);
  toy::context judge(models.target.model);
  measurement::assembled_method assembled = how.method->assemble(models, target, how.method_settings());
  assembled.set_gamma(how.gamma);
  generator texts(target, std::move(assembled.drafter), how.options(), std::move(assembled.rule));
  for (const tokens& prompt : prompts) {
    (void)texts.read(prompt);
    const auto keep = [&](const specdec::outcome& out) { found.counts.add(out); };
    found.stats += texts.run(0, generator::all_rounds, keep).stats;
    found.text += measurement::quality_of(std::ref(judge), texts.text().tokens(), prompt.size());
    if (interruption::stop_requested()) break;
  }
  return found;
}

measurement::race_record time(const setting& how, const measurement::model_pair& models,
                              const measurement::model_pair& stand_in, std::span<const tokens> prompts,
                              std::size_t rounds) {
  constexpr std::size_t rounds_of_a_text = 6;
  constexpr std::size_t probe_every = 3;
  measurement::race race(*how.method, models, how.method_settings(), how.gamma, how.options(), probe_every);
  using measurement::draft_source;
  if (!how.method->fixed_depth && how.method->drafts_with != draft_source::text) {
    toy::context cheap(stand_in.target.model);
    const bool drafts_itself = how.method->drafts_with == draft_source::target;
    for (const tokens& prompt : prompts) {
      if (!interruption::stop_requested()) race.rehearse(prompt, drafts_itself ? nullptr : &cheap);
    }
  }
  measurement::race_record found;
  const std::size_t texts = std::clamp<std::size_t>(rounds / rounds_of_a_text, 1, prompts.size());
  for (std::size_t i = 0; i < texts && !interruption::stop_requested(); ++i) {
    found += race.run(prompts[i], 0, rounds / texts + (i < rounds % texts ? 1 : 0));
  }
  return found;
}

measurement::tally shortened(const specdec::statistics& longer, std::size_t gamma) {
  constexpr std::uint64_t rounds = 1'000'000;
  double mean = 1;
  for (std::size_t depth = 1; depth <= gamma; ++depth) mean += longer.survival(depth);
  measurement::tally counts;
  counts.drafted.resize(gamma + 1);
  counts.drafted[gamma] = rounds;
  counts.delivered = static_cast<std::uint64_t>(std::llround(mean * static_cast<double>(rounds)));
  return counts;
}

}  // namespace study
