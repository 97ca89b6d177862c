#include "methods.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>

namespace faults {

namespace {

/// Never allows the last token, nor one token in five, which ones depends on the text; every eleventh token is forced,
/// and is never the end token before it.
class changing_mask {
 public:
  [[nodiscard]] bool allows(token_id token) const {
    if (taken_.size() % 11 == 10) return token == sum_ % (last - 1);
    return token != last && (token + sum_) % 5 != 0;
  }
  void fill(std::span<std::uint32_t> words) const {
    for (token_id t = 0; t <= last; ++t) {
      if (allows(t)) words[0] |= 1U << t;
    }
  }
  void advance(token_id token) {
    if (!allows(token)) throw std::logic_error("the mask was led to a token that it forbids");
    taken_.push_back(token);
    sum_ += token;
  }
  void rollback(std::size_t n) {
    if (n > taken_.size()) throw std::logic_error("the mask was led back too far");
    for (; n > 0; --n) {
      sum_ -= taken_.back();
      taken_.pop_back();
    }
  }

 private:
  static constexpr token_id last = static_cast<token_id>(vocab_size) - 1;
  std::vector<token_id> taken_;
  token_id sum_ = 0;
};

/// A drafter and the model that it refers to.
template <class Model, class Drafter>
struct with_model {
  std::unique_ptr<Model> model;
  Drafter drafter;

  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    drafter.propose(request, chance, answer);
  }
};

specdec::any_drafter translated_drafter(cast& models) {
  using model = specdec::translated<faulty&>;
  static const specdec::vocabulary_map map(target_pieces, foreign_pieces);
  auto of = std::make_unique<model>(models.draft, map);
  specdec::model_drafter drafter(*of, specdec::constant{4});
  return with_model<model, specdec::model_drafter<model>>{std::move(of), std::move(drafter)};
}

specdec::any_drafter recorded_drafter(cast& models) {
  using model = specdec::recorded<faulty&>;
  auto of = std::make_unique<model>(models.draft);
  specdec::model_drafter drafter(*of, specdec::constant{4});
  return with_model<model, specdec::model_drafter<model>>{std::move(of), std::move(drafter)};
}

/// What was read before, for drafters that look things up in it.
const std::vector<token_id>& old_text() {
  static const std::vector<token_id> text = [] {
    small_model model(pools::near, pools::near);
    std::vector<token_id> tokens;
    for (const auto& token : specdec::autoregressive_generate(model, prompt, {.max_tokens = 600, .seed = 5}).tokens) {
      tokens.push_back(token.id);
    }
    return tokens;
  }();
  return text;
}

const specdec::suffix_corpus& corpus() {
  static const specdec::suffix_corpus made = [] {
    specdec::suffix_corpus texts(vocab_size, 1000);
    texts.add(old_text());
    return texts;
  }();
  return made;
}

specdec::any_drafter cascade_of_models(cast& models) {
  specdec::model_drafter guesser(models.draft_of_draft, specdec::constant{3});
  return specdec::cascade_drafter(models.draft, std::move(guesser), specdec::constant{6}, {.top = 8});
}

/// Drafts with a model, as many tokens as a policy says.
template <class Policy>
auto with_policy(Policy policy, std::size_t top = 8) {
  return [policy, top](cast& models) -> specdec::any_drafter {
    return specdec::model_drafter(models.draft, policy, {.top = top});
  };
}

template <specdec::sibling_draw Draw>
specdec::any_drafter tree(cast& models) {
  static const auto shape = specdec::tree_shape::uniform(std::vector<std::size_t>{3, 2, 1});
  return specdec::tree_drafter(models.draft, shape, {.top = 8}, Draw);
}

specdec::any_drafter dynamic_tree(cast& models) {
  return specdec::dynamic_tree_drafter(models.draft, {.nodes = 9, .depth = 3, .width = 3});
}

std::vector<method> rules_for_chains() {
  const auto four = with_policy(specdec::constant{4});
  return {
      {.name = "rejection", .rule = specdec::rejection{}, .drafter = four},
      {.name = "rejection, temperature 0",
       .rule = specdec::rejection{},
       .drafter = four,
       .own_choice = true,
       .temperature = 0},
      {.name = "block verification", .rule = specdec::block_verification{}, .drafter = four},
      {.name = "greedy", .rule = specdec::greedy{}, .drafter = four, .own_choice = true},
      {.name = "coupled", .rule = specdec::coupled{}, .drafter = four, .own_choice = true},
      {.name = "lenient (lossy)", .rule = specdec::lenient(0.3), .drafter = four},
      {.name = "typical acceptance (lossy)", .rule = specdec::typical_acceptance(), .drafter = four},
      {.name = "big little decoder (lossy)",
       .rule = specdec::big_little(2),
       .drafter = with_policy(specdec::fallback{.fallback_threshold = 0.2})},
  };
}

std::vector<method> rules_for_trees() {
  const auto distinct = tree<specdec::sibling_draw::distinct>;
  const auto independent = tree<specdec::sibling_draw::independent>;
  return {
      {.name = "recursive rejection, tree",
       .rule = specdec::recursive_rejection{},
       .drafter = distinct,
       .branches = true,
       .learns = true},
      {.name = "recursive rejection, tree of independent siblings",
       .rule = specdec::recursive_rejection{},
       .drafter = independent,
       .branches = true,
       .learns = true},
      {.name = "K-SEQ, tree", .rule = specdec::k_seq{}, .drafter = independent, .branches = true, .learns = true},
      {.name = "traversal, tree", .rule = specdec::traversal{}, .drafter = distinct, .branches = true, .learns = true},
      {.name = "traversal, tree of independent siblings",
       .rule = specdec::traversal{},
       .drafter = independent,
       .branches = true,
       .learns = true},
      {.name = "coupled, tree",
       .rule = specdec::coupled{},
       .drafter = distinct,
       .branches = true,
       .learns = true,
       .own_choice = true},
      {.name = "naive sampling, dynamic tree",
       .rule = specdec::naive_sampling{},
       .drafter = dynamic_tree,
       .branches = true},
      {.name = "recursive rejection, dynamic tree",
       .rule = specdec::recursive_rejection{},
       .drafter = dynamic_tree,
       .branches = true},
      {.name = "typical acceptance, dynamic tree (lossy)",
       .rule = specdec::typical_acceptance(),
       .drafter = dynamic_tree,
       .branches = true},
  };
}

/// All under the rejection rule.
std::vector<method> drafters() {
  const auto made = [](auto drafter) { return [drafter](cast&) -> specdec::any_drafter { return drafter; }; };
  const auto guesses_of_counts = [](cast& models) -> specdec::any_drafter {
    return specdec::cascade_drafter(models.draft, specdec::ngram_drafter(bigrams()), specdec::constant{6}, {.top = 8});
  };
  const auto first_suffix = [](cast& models) -> specdec::any_drafter {
    return specdec::first_of(specdec::suffix_drafter({.min_score = 1}),
                             specdec::model_drafter(models.draft, specdec::constant{4}, {.top = 8}));
  };
  const auto itself = [](cast& models) -> specdec::any_drafter {
    return specdec::layer_skip_drafter(models.recorded_target, specdec::layer_skip(small_model::layers, {0}, {0}),
                                       specdec::constant{4});
  };
  const auto through_the_text = [](cast& models) -> specdec::any_drafter {
    return specdec::universal_drafter(models.draft, target_pieces, foreign_pieces,
                                      specdec::universal_options{.num_assistant_tokens = 6});
  };
  return {
      {.name = "no draft", .drafter = made(specdec::no_draft{}), .drafts = 0, .own_choice = true},
      {.name = "model, whole law", .drafter = with_policy(specdec::constant{4}, 0)},
      {.name = "model that knows its tokens", .drafter = recorded_drafter},
      {.name = "models that run out of room", .drafter = with_policy(specdec::constant{4}), .capacity = 150},
      {.name = "prompt lookup", .drafter = made(specdec::prompt_lookup{}), .drafts = 0},
      {.name = "suffix", .drafter = made(specdec::suffix_drafter({.max_depth = 16})), .drafts = 0},
      {.name = "suffix, corpus", .drafter = made(specdec::suffix_drafter(corpus(), {.max_depth = 16})), .drafts = 0},
      {.name = "n-grams", .drafter = made(specdec::ngram_drafter(bigrams())), .drafts = 0},
      {.name = "what a mask forces", .drafter = made(specdec::forced_tokens{}), .drafts = 0},
      {.name = "cascade over n-grams", .drafter = guesses_of_counts},
      {.name = "cascade over a model", .drafter = cascade_of_models, .drafts = 2},
      {.name = "first of suffix and model", .drafter = first_suffix, .learns = true},
      {.name = "layer skip", .drafter = itself, .drafts = 0, .of_itself = true},
      {.name = "translated vocabulary", .drafter = translated_drafter, .draft_pool = &pools::foreign},
      {.name = "universal", .drafter = through_the_text, .draft_pool = &pools::foreign},
  };
}

/// All of a model under the rejection rule.
std::vector<method> lengths() {
  const specdec::recorded_costs costs{.target_call = {1, 1.1, 1.2}, .draft_step = {0.1}, .overhead = 0.05};
  return {
      {.name = "length: heuristic", .drafter = with_policy(specdec::heuristic{4}), .learns = true},
      {.name = "length: confidence", .drafter = with_policy(specdec::confidence(specdec::constant{6})), .learns = true},
      {.name = "length: confidence of heuristic",
       .drafter = with_policy(specdec::confidence(specdec::heuristic{4})),
       .learns = true},
      {.name = "length: adaptive exit",
       .drafter = with_policy(specdec::adaptive_exit{.th_stop_draft = 0.3}),
       .learns = true},
      {.name = "length: AdaEDL", .drafter = with_policy(specdec::adaedl{}), .learns = true},
      {.name = "length: fallback", .drafter = with_policy(specdec::fallback{.fallback_threshold = 0.3})},
      {.name = "length: cost model",
       .drafter = with_policy(specdec::cost_model<specdec::recorded_costs>(costs)),
       .learns = true,
       .heeds_company = true},
      {.name = "length: cost model, measured",
       .rule = specdec::greedy{},
       .drafter = with_policy(specdec::cost_model()),
       .learns = true,
       .own_choice = true,
       .reads_clock = true},
  };
}

}  // namespace

cast::cast(const method& of)
    : target(small_model(pools::target, pools::near, of.capacity)),
      recorded_target(target),
      draft(small_model(*of.draft_pool, *of.draft_pool, of.capacity)),
      draft_of_draft(small_model(pools::far, pools::far, of.capacity)) {}

const std::vector<method>& methods() {
  static const std::vector<method> all = [] {
    std::vector<method> list;
    for (const auto& some : {rules_for_chains(), rules_for_trees(), drafters(), lengths()}) {
      list.insert(list.end(), some.begin(), some.end());
    }
    return list;
  }();
  return all;
}

const specdec::ngram_table& bigrams() {
  static const specdec::ngram_table table(vocab_size, old_text(), {.top = 4});
  return table;
}

const method& method_of(const std::string& name) {
  for (const method& of : methods()) {
    if (of.name == name) return of;
  }
  throw std::invalid_argument("there is no method of the name " + name);
}

specdec::generate_options options_of(const method& of, bool all) {
  specdec::generate_options options{.max_tokens = 200, .seed = 11, .stream = 3};
  options.sampling.temperature = of.temperature;
  if (!all) return options;
  options.sampling.top_k = 12;
  options.sampling.top_p = 0.95;
  options.sampling.repetition_penalty = 1.1;
  options.sampling.frequency_penalty = 0.1;
  options.sampling.penalty_window = 30;
  options.mask = changing_mask();
  options.top_log_probabilities = 2;
  options.end_tokens = {14};
  options.min_tokens = 200;
  // Each ends with what never comes, so it only holds back.
  for (token_id t = 0; t < 8; ++t) options.stop_sequences.push_back({t, static_cast<token_id>(vocab_size) - 1});
  options.stop_texts = {"abab!", "dad!", "bb!"};
  options.detokenize = [](token_id token, std::string& text) { target_pieces.decode(token, text); };
  return options;
}

}  // namespace faults
