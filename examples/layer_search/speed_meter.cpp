#include "speed_meter.hpp"

#include <algorithm>
#include <limits>

#include <measurement/costs.hpp>
#include <measurement/generator.hpp>
#include <program/interruption.hpp>

namespace layer_search {

speed_meter::speed_meter(const toy::model& model, const specdec::generate_options& options)
    : target_(model), options_(options) {}

specdec::statistics speed_meter::run(const prompt& start, const specdec::layer_skip* skip) {
  specdec::any_drafter drafter;
  if (skip != nullptr) {
    // The authors' thresholds to begin with.
    const specdec::adaptive_exit policy{.th_stop_draft = options_.sampling.temperature == 0 ? 0.8 : 0.5};
    drafter = specdec::layer_skip_drafter(target_, *skip, policy);
  }
  measurement::generator generator(target_, std::move(drafter), options_);
  (void)generator.read(start);
  return generator.run().stats;
}

double speed_meter::tokens_per_second(std::span<const prompt> prompts, const specdec::layer_skip& skip) {
  double tokens = 0, seconds = 0;
  for (const prompt& start : prompts) {
    const auto first = run(start, &skip), second = run(start, &skip);
    tokens += static_cast<double>(first.delivered);
    seconds += std::min(first.seconds(), second.seconds());
  }
  return program::interruption::stop_requested() ? std::numeric_limits<double>::quiet_NaN() : tokens / seconds;
}

comparison speed_meter::compare(std::span<const prompt> prompts, const specdec::layer_skip& skip,
                                std::size_t repetitions) {
  comparison found;
  std::vector<double> plain, drafted, ratios;
  for (std::size_t i = 0; i < repetitions; ++i) {
    specdec::statistics without, with;
    for (const prompt& start : prompts) {
      if (program::interruption::stop_requested()) return found;
      without += run(start, nullptr);
      with += run(start, &skip);
    }
    plain.push_back(without.tokens_per_second());
    drafted.push_back(with.tokens_per_second());
    ratios.push_back(drafted.back() / plain.back());
    found.stats = with;
  }
  found.plain_tokens_per_second = measurement::median(plain);
  found.tokens_per_second = measurement::median(drafted);
  found.speedup = measurement::median(ratios);
  found.least = *std::ranges::min_element(ratios);
  found.most = *std::ranges::max_element(ratios);
  return found;
}

}  // namespace layer_search
