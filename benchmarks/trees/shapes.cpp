#include "shapes.hpp"

#include <algorithm>

#include <program/interruption.hpp>

namespace trees {
namespace {

using program::interruption;
using specdec::node_id;
using specdec::tree_shape;

specdec::model_drafter_options drafting() {
  // The vocabulary is small: nothing is gained by cutting the draft's law.
  return {.top = 0};
}

specdec::generate_options generation(const options& asked, std::uint32_t stream) {
  return {
      .max_tokens = asked.tokens, .sampling = {.temperature = asked.temperature}, .seed = asked.seed, .stream = stream};
}

/// One path, of which every node has many siblings.
tree_shape comb(std::size_t depth, std::size_t ranks) {
  std::vector<node_id> parents;
  node_id tip = specdec::root;
  for (std::size_t level = 0; level < depth; ++level) {
    const auto first = static_cast<node_id>(parents.size() + 1);
    for (std::size_t rank = 0; rank < ranks; ++rank) parents.push_back(tip);
    tip = first;
  }
  return tree_shape::from_parents(parents);
}

}  // namespace

workbench::workbench(const options& asked, const measurement::model_pair& models,
                     std::span<const study::tokens> prompts)
    : asked_(asked), target_(models.target.model), draft_(models.draft->model), prompts_(prompts) {}

template <class Drafter>
specdec::statistics workbench::generate(Drafter& drafter, std::uint32_t stream) {
  specdec::statistics all;
  for (const study::tokens& prompt : prompts_) {
    specdec::session text(target_.vocab_size(), generation(asked_, stream), specdec::recursive_rejection{});
    text.begin(prompt);
    // Rounds near the end may not draft as deep as the shape is.
    const auto full_rounds = [&](const specdec::outcome&) {
      return text.generated().size() + asked_.depth < asked_.tokens;
    };
    specdec::speculative_generate(text, target_, drafter, full_rounds, interruption{});
    all += text.stats();
    if (interruption::stop_requested()) break;
  }
  return all;
}

workbench::yield workbench::try_shape(const tree_shape& shape, std::uint32_t stream) {
  specdec::tree_drafter drafter(draft_, shape, drafting());
  const specdec::statistics stats = generate(drafter, stream);
  return {stats, drafter.counts()};
}

workbench::yield workbench::try_dynamic(std::size_t nodes, std::size_t depth, std::uint32_t stream) {
  specdec::dynamic_tree_drafter drafter(draft_, {.nodes = nodes, .depth = depth});
  return {generate(drafter, stream), {}};
}

tree_shape constant_shape(std::size_t nodes, std::size_t branching) {
  std::vector<std::size_t> levels;
  std::size_t width = 1;
  std::size_t used = 0;
  // Every level doubles, or whatever `branching` says, as long as there are nodes for it.
  while (used + width * branching <= nodes) {
    width *= branching;
    used += width;
    levels.push_back(branching);
  }
  return tree_shape::uniform(levels);
}

specdec::sibling_acceptance measure_acceptance(workbench& bench, std::size_t nodes, std::size_t depth) {
  constexpr std::size_t ranks = 8;
  constexpr std::size_t least_tries = 30;
  constexpr std::uint32_t first_stream = 100;
  const auto along_a_path = bench.try_shape(comb(depth, ranks), first_stream).siblings.acceptance(least_tries);
  const tree_shape better = specdec::best_trees(along_a_path, nodes, depth).shape(nodes, depth);
  return bench.try_shape(better, first_stream + 1).siblings.acceptance(least_tries);
}

specdec::tree_costs measured_costs::view() const noexcept { return {.draft_level = draft_level, .target = target}; }

std::optional<measured_costs> measure_costs(const options& asked, const measurement::model_pair& models,
                                            std::span<const study::tokens> prompts, std::size_t most,
                                            const std::function<void()>& done_with_text) {
  std::vector<std::size_t> sizes;
  for (std::size_t size = 1; size <= most + 1; size += size < 8 ? 1 : size < 16 ? 2 : 8) sizes.push_back(size);
  if (sizes.back() < most + 1) sizes.push_back(most + 1);
  measurement::cost_meter meter(sizes);
  toy::context target(models.target.model);
  toy::context draft(models.draft->model);
  specdec::model_drafter drafter(draft, specdec::constant{2}, drafting());
  measurement::generator texts(target, specdec::any_drafter(std::move(drafter)), generation(asked, 0));
  for (const study::tokens& prompt : prompts) {
    (void)texts.read(prompt);
    (void)texts.run();
    meter.measure(texts);
    done_with_text();
    if (interruption::stop_requested()) break;
  }
  const std::optional<measurement::costs> found = meter.result();
  if (!found) return std::nullopt;
  return measured_costs{found->target_call, found->draft_token};
}

double measured_speedup(const options& asked, const measurement::model_pair& models,
                        std::span<const study::tokens> prompts, const tree_shape& shape, std::size_t rounds) {
  toy::context target(models.target.model), plain_target(models.target.model), draft(models.draft->model);
  specdec::tree_drafter drafter(draft, shape, drafting());
  specdec::no_draft nothing;
  double seconds = 0, plain_seconds = 0;
  std::size_t tokens = 0, plain_tokens = 0;
  std::size_t done = 0;
  for (const study::tokens& prompt : prompts) {
    if (done >= rounds || interruption::stop_requested()) break;
    specdec::session text(target.vocab_size(), generation(asked, 7), specdec::recursive_rejection{});
    specdec::session plain(target.vocab_size(), generation(asked, 8));
    text.begin(prompt);
    plain.begin(prompt);
    const auto one_round = [](auto& session, toy::context& model, auto& drafts, double& time, std::size_t& count) {
      session.resume();
      const std::size_t before = session.generated().size();
      const double start = specdec::seconds_now();
      specdec::speculative_generate(session, model, drafts, [](const specdec::outcome&) { return false; });
      time += specdec::seconds_now() - start;
      count += session.generated().size() - before;
    };
    double ignored_time = 0;
    std::size_t ignored_count = 0;
    // The first rounds read the prompt.
    one_round(text, target, drafter, ignored_time, ignored_count);
    one_round(plain, plain_target, nothing, ignored_time, ignored_count);
    const std::size_t of_this_text = std::max<std::size_t>(1, rounds / prompts.size());
    for (std::size_t i = 0; i < of_this_text && text.generated().size() + asked.depth < asked.tokens; ++i, ++done) {
      one_round(text, target, drafter, seconds, tokens);
      one_round(plain, plain_target, nothing, plain_seconds, plain_tokens);
    }
  }
  if (seconds == 0 || plain_tokens == 0) return 0;
  return static_cast<double>(tokens) / seconds * plain_seconds / static_cast<double>(plain_tokens);
}

}  // namespace trees
