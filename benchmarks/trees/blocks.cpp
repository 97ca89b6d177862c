#include "blocks.hpp"

#include <algorithm>
#include <numeric>

#include <program/interruption.hpp>

namespace trees {
namespace {

/// Block verification that looks at all of a chain first.
struct watching_rule {
  static constexpr bool lossless = true;

  kept_of_chains* found;
  std::vector<double>* ratios;

  template <class Rows, class Chance>
  specdec::verdict operator()(const specdec::draft& drafted, const Rows& rows, specdec::law& target,
                              Chance& chance) const {
    ratios->clear();
    for (specdec::node_id node = 1; node <= drafted.size(); ++node) {
      const specdec::token_id x = drafted.token(node);
      const auto p = target.at(rows, drafted.parent(node));
      ratios->push_back(p.valid() ? p.probability(x) / drafted.law_of(node).probability(x) : 0.0);
    }
    found->add(*ratios);
    return specdec::block_verification{}(drafted, rows, target, chance);
  }
};

}  // namespace

void kept_of_chains::add(std::span<const double> ratios) {
  // The rules' closed forms: min(1, r_1) .. min(1, r_i), and P_i = min(1, P_{i-1} r_i).
  double by_token = 1;
  double by_block = 1;
  for (std::size_t i = 0; i < std::min(ratios.size(), by_token_.size()); ++i) {
    by_token *= std::min(1.0, ratios[i]);
    by_block = std::min(1.0, by_block * ratios[i]);
    by_token_[i] += by_token;
    by_block_[i] += by_block;
  }
  ++chains_;
}

double kept_of_chains::mean_of_first(std::span<const double> sums, std::size_t count) const noexcept {
  const auto first = sums.first(count);
  return std::accumulate(first.begin(), first.end(), 0.0) / static_cast<double>(chains_);
}

kept_of_chains verify_both_ways(const options& asked, const measurement::model_pair& models,
                                std::span<const study::tokens> prompts) {
  kept_of_chains found(asked.gamma);
  std::vector<double> ratios;
  toy::context target(models.target.model);
  toy::context draft(models.draft->model);
  specdec::model_drafter drafter(draft, specdec::constant{asked.gamma}, {.top = 0});
  // The last rounds of a text draft less than gamma tokens, so the text goes on as far as they would reach.
  const specdec::generate_options how{
      .max_tokens = asked.tokens, .sampling = {.temperature = asked.temperature}, .seed = asked.seed};
  for (const study::tokens& prompt : prompts) {
    specdec::session text(target.vocab_size(), how, watching_rule{&found, &ratios});
    text.begin(prompt);
    const auto full_rounds = [&](const specdec::outcome&) {
      return text.generated().size() + asked.gamma < asked.tokens;
    };
    specdec::speculative_generate(text, target, drafter, full_rounds, program::interruption{});
    if (program::interruption::stop_requested()) break;
  }
  return found;
}

}  // namespace trees
