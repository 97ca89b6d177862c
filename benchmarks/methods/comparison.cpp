#include "comparison.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <program/interruption.hpp>

namespace methods {
namespace {

using measurement::draft_source;
using measurement::method;
using program::interruption;

constexpr std::array<std::size_t, 8> usual_gammas{1, 2, 3, 4, 5, 6, 8, 12};

}  // namespace

double comparison::speedup() const { return speedup_by_sums(record); }
double comparison::typical() const { return speedup_by_medians(record.counts, record.rounds); }
double comparison::predicted() const { return predicted_speedup(record.counts, record.parts, record.rounds); }

contest::contest(const options& asked, toy::weight_format weights)
    : asked_(asked), weights_(weights), small_(weights, 0, 1), large_(weights, asked.ballast, 0) {
  // What cannot be loaded should not come up after half an hour.
  for (const method* one : asked.methods) {
    (void)small_.pair_for(*one);
    (void)timed_shelf(*one).pair_for(*one);
  }
  const auto& tokenizer = small_.pair_for(measurement::methods().front()).target.tokenizer;
  // Task by task in turns: a few rounds on the first texts are rounds of every task.
  const ::study::prompts_by_task by_task = ::study::bundled_prompts(tokenizer, asked.prompts);
  for (std::size_t i = 0; i < asked.prompts; ++i) {
    for (const auto& [task, prompts] : by_task) {
      if (i < prompts.size()) prompts_.push_back(prompts[i]);
    }
  }
}

::study::setting contest::setting(const method& method, double temperature, std::size_t gamma) const {
  return {&method, gamma, temperature, asked_.tokens, asked_.seed};
}

// Ballast is inert units of feed-forward blocks: a self-draft that skips such blocks would be flattered by it.
::study::model_shelf& contest::timed_shelf(const method& method) noexcept {
  return method.drafts_with == draft_source::target ? small_ : large_;
}

std::vector<candidate> contest::try_gammas(const method& method, double temperature) {
  constexpr std::size_t rounds = 16;
  std::vector<std::size_t> gammas(usual_gammas.begin(), usual_gammas.end());
  if (std::find(gammas.begin(), gammas.end(), method.default_gamma) == gammas.end()) {
    gammas.push_back(method.default_gamma);
  }
  const auto& models = small_.pair_for(method);
  ::study::counted longest;
  if (method.fixed_depth) longest = ::study::count(setting(method, temperature, gammas.back()), models, prompts_);
  std::vector<candidate> found;
  for (const std::size_t gamma : gammas) {
    if (interruption::stop_requested()) break;
    const auto how = setting(method, temperature, gamma);
    const measurement::tally counts =
        method.fixed_depth ? ::study::shortened(longest.stats, gamma) : ::study::count(how, models, prompts_).counts;
    const auto timed = ::study::time(how, timed_shelf(method).pair_for(method), models, prompts_, rounds);
    if (interruption::stop_requested()) break;
    found.push_back({gamma, speedup_by_medians(counts, timed.rounds)});
  }
  return found;
}

comparison contest::compare(const method& method, double temperature, const std::function<void(const char*)>& tell) {
  comparison found{&method, weights_, temperature, &timed_shelf(method) == &large_ ? asked_.ballast : 0, 0, {}, {}};
  tell("looking for the best gamma");
  if (asked_.gamma) {
    found.gamma = *asked_.gamma;
  } else {
    found.candidates = try_gammas(method, temperature);
    if (found.candidates.empty()) return found;
    found.gamma = std::max_element(found.candidates.begin(), found.candidates.end(), [](const auto& a, const auto& b) {
                    return a.speedup < b.speedup;
                  })->gamma;
  }
  tell("racing against plain decoding");
  measurement::race race(method, timed_shelf(method).pair_for(method),
                         setting(method, temperature, found.gamma).method_settings(), found.gamma,
                         setting(method, temperature, found.gamma).options());
  for (const ::study::tokens& prompt : prompts_) {
    if (interruption::stop_requested()) break;
    found.record += race.run(prompt);
  }
  return found;
}

baseline contest::plain(double temperature) {
  const method& nothing = measurement::methods().front();
  return {weights_, temperature,
          ::study::count(setting(nothing, temperature, 0), small_.pair_for(nothing), prompts_).text};
}

}  // namespace methods
