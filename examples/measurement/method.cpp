#include "method.hpp"

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <program/values.hpp>

#include "prompts.hpp"

namespace measurement {
namespace {

/// A drafter that is shared with whoever sets its gamma.
template <class Drafter>
struct shared_drafter {
  std::shared_ptr<Drafter> drafter;

  void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
    drafter->propose(request, chance, answer);
  }
  void observe(const specdec::outcome& out) { specdec::tell(*drafter, out); }
};

/// @param gamma_of where the drafter keeps the number of tokens that it drafts
template <class Drafter, class GammaOf>
assembled_method assembled(std::shared_ptr<Drafter> drafter, GammaOf gamma_of, any_rule rule = {}) {
  return {shared_drafter<Drafter>{drafter}, std::move(rule),
          [drafter, gamma_of](std::size_t gamma) { gamma_of(*drafter) = gamma; }};
}

/// A drafter, and a model or table of its own that it refers to.
template <class Source, class Drafter>
struct drafter_with_source {
  template <class... Arguments>
  explicit drafter_with_source(Source from, Arguments&&... arguments)
      : source(std::move(from)), drafter(source, std::forward<Arguments>(arguments)...) {}

  Source source;
  Drafter drafter;
};

/// The drafter, which keeps its source alive.
template <class Drafter, class Source, class... Arguments>
std::shared_ptr<Drafter> make_drafter(Source source, Arguments&&... arguments) {
  const auto both =
      std::make_shared<drafter_with_source<Source, Drafter>>(std::move(source), std::forward<Arguments>(arguments)...);
  return {both, &both->drafter};
}

/// Drafts with a draft model, as far as the policy says.
template <class Policy>
auto model_drafter_of(any_context draft, Policy policy, const specdec::model_drafter_options& options) {
  return make_drafter<specdec::model_drafter<any_context, Policy>>(std::move(draft), std::move(policy), options);
}

constexpr auto policys_gamma = [](auto& drafter) -> std::size_t& { return drafter.policy().gamma; };

/// Every second layer, all but the first and the last.
specdec::layer_skip every_second(std::size_t layers) {
  std::vector<std::size_t> skipped;
  for (std::size_t layer = 2; layer + 1 < layers; layer += 2) skipped.push_back(layer);
  return {layers, skipped, skipped};
}

assembled_method autoregressive(any_context, const method_settings&) {
  return {{}, {}, [](std::size_t) {}};
}

assembled_method rejection(any_context draft, const method_settings& settings) {
  return assembled(model_drafter_of(std::move(draft), specdec::constant{}, {.top = settings.draft_top}), policys_gamma);
}

assembled_method lenient(any_context draft, const method_settings& settings) {
  return assembled(model_drafter_of(std::move(draft), specdec::constant{}, {.top = settings.draft_top}), policys_gamma,
                   specdec::lenient(settings.lenience));
}

assembled_method block(any_context draft, const method_settings& settings) {
  return assembled(model_drafter_of(std::move(draft), specdec::constant{}, {.top = settings.draft_top}), policys_gamma,
                   specdec::block_verification{});
}

assembled_method coupled(any_context draft, const method_settings& settings) {
  return assembled(model_drafter_of(std::move(draft), specdec::constant{}, {.top = settings.draft_top}), policys_gamma,
                   specdec::coupled{});
}

/// Drafts trees of the shape that is best for how often siblings were kept so far.
class learning_tree {
 public:
  learning_tree(any_context& model, const specdec::model_drafter_options& options)
      : drafter_(model, {}, options), prior_(first_guess) {}

  void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
    drafter_.propose(request, chance, answer);
  }
  void observe(const specdec::outcome& out) {
    drafter_.observe(out);
    if (++rounds_ % rounds_between_shapes == 0) reshape();
  }
  void limit(std::size_t nodes) {
    nodes_ = nodes;
    reshape();
  }

 private:
  // What the first rounds assume; it soon matters little.
  static constexpr double first_guess[] = {0.6, 0.12, 0.06, 0.03, 0.02, 0.01};
  static constexpr double weight_of_guess = 8;
  static constexpr std::size_t rounds_between_shapes = 32;
  static constexpr std::size_t most_levels = 12;

  void reshape() {
    const specdec::best_trees trees(drafter_.counts().acceptance(prior_, weight_of_guess), nodes_, most_levels);
    drafter_.reshape(trees.shape(nodes_, most_levels));
  }

  specdec::tree_drafter<any_context> drafter_;
  specdec::sibling_acceptance prior_;
  std::size_t nodes_ = 0;
  std::size_t rounds_ = 0;
};

assembled_method tree(any_context draft, const method_settings& settings) {
  const auto drafter =
      make_drafter<learning_tree>(std::move(draft), specdec::model_drafter_options{.top = settings.draft_top});
  return {shared_drafter<learning_tree>{drafter}, specdec::recursive_rejection{},
          [drafter](std::size_t nodes) { drafter->limit(nodes); }};
}

assembled_method dynamic_tree(any_context draft, const method_settings&) {
  using drafter = specdec::dynamic_tree_drafter<any_context>;
  return assembled(
      make_drafter<drafter>(std::move(draft)), [](drafter& self) -> std::size_t& { return self.nodes(); },
      specdec::naive_sampling{});
}

assembled_method typical(any_context draft, const method_settings& settings) {
  return assembled(model_drafter_of(std::move(draft), specdec::constant{}, {.top = settings.draft_top}), policys_gamma,
                   specdec::typical_acceptance{});
}

assembled_method assisted(any_context draft, const method_settings& settings) {
  const specdec::confidence_options sure{.assistant_confidence_threshold = settings.assistant_confidence_threshold};
  const specdec::model_drafter_options options{.top = settings.draft_top};
  if (settings.num_assistant_tokens_schedule == assistant_schedule::heuristic) {
    return assembled(model_drafter_of(std::move(draft), specdec::confidence(specdec::heuristic{}, sure), options),
                     [](auto& drafter) -> std::size_t& { return drafter.policy().inner().num_assistant_tokens; });
  }
  return assembled(model_drafter_of(std::move(draft), specdec::confidence(specdec::constant{}, sure), options),
                   [](auto& drafter) -> std::size_t& { return drafter.policy().inner().gamma; });
}

assembled_method cost_model(any_context draft, const method_settings& settings) {
  const auto drafter = model_drafter_of(std::move(draft), specdec::cost_model<>(), {.top = settings.draft_top});
  return {shared_drafter<std::remove_reference_t<decltype(*drafter)>>{drafter}, {}, [drafter](std::size_t gamma) {
            drafter->policy().limit(gamma);
          }};
}

assembled_method cascade(any_context draft, const method_settings& settings) {
  // Guesses cost the draft model more than they cost the target, so that only likely ones pay.
  const specdec::suffix_options likely{.max_spec_tokens = 8, .min_token_prob = 0.5};
  using drafter = specdec::cascade_drafter<any_context, specdec::suffix_drafter>;
  return assembled(make_drafter<drafter>(std::move(draft), specdec::suffix_drafter(likely), specdec::constant{},
                                         specdec::model_drafter_options{.top = settings.draft_top}),
                   policys_gamma);
}

assembled_method prompt_lookup(any_context, const method_settings& settings) {
  const auto drafter = std::make_shared<specdec::prompt_lookup>();
  drafter->max_matching_ngram_size = settings.max_matching_ngram_size;
  return assembled(drafter, [](specdec::prompt_lookup& lookup) -> std::size_t& { return lookup.num_output_tokens; });
}

assembled_method suffix(any_context, const method_settings& settings) {
  return assembled(
      std::make_shared<specdec::suffix_drafter>(specdec::suffix_options{.max_spec_factor = settings.max_spec_factor,
                                                                        .doubt = settings.doubt,
                                                                        .min_token_prob = settings.min_token_prob}),
      [](specdec::suffix_drafter& self) -> std::size_t& { return self.max_spec_tokens(); });
}

assembled_method ngram(const model_pair& models, toy::context&, const method_settings& settings) {
  const toy::tokenizer& tokenizer = models.target.tokenizer;
  std::vector<std::vector<specdec::token_id>> texts;
  if (settings.ngram_text) {
    texts.push_back(tokenizer.encode(*settings.ngram_text));
  } else {
    for (const prompt& one : read_prompts(SPECDEC_MODELS_DIR "/prompts.jsonl")) {
      texts.push_back(tokenizer.encode(one.text));
    }
  }
  const std::vector<std::span<const specdec::token_id>> views(texts.begin(), texts.end());
  specdec::ngram_table table(tokenizer.vocab_size(), views, {.order = settings.ngram_order});
  return assembled(make_drafter<specdec::ngram_drafter<>>(std::move(table)), policys_gamma);
}

assembled_method big_little(any_context draft, const method_settings& settings) {
  const specdec::fallback sure{.fallback_threshold = settings.fallback_threshold};
  return assembled(
      model_drafter_of(std::move(draft), sure, {.sampling = specdec::sampling_params{.temperature = 0}}),
      [](auto& drafter) -> std::size_t& { return drafter.policy().num_small_iters; },
      specdec::big_little(settings.rollback_threshold));
}

assembled_method draft_verify(const model_pair&, toy::context& target, const method_settings& settings) {
  const specdec::adaptive_exit sure{.th_stop_draft = settings.th_stop_draft.value_or(settings.greedy ? 0.8 : 0.5)};
  using drafter = specdec::layer_skip_drafter<toy::context, specdec::adaptive_exit>;
  return assembled(
      std::make_shared<drafter>(target, settings.skip ? *settings.skip : every_second(target.layer_count()), sure,
                                specdec::model_drafter_options{.top = settings.draft_top}),
      [](drafter& self) -> std::size_t& { return self.policy().max_step_draft; });
}

assembled_method adaedl(any_context draft, const method_settings& settings) {
  return assembled(model_drafter_of(std::move(draft), specdec::adaedl{}, {.top = settings.draft_top}),
                   [](auto& drafter) -> std::size_t& { return drafter.policy().threshold.max_step_draft; });
}

assembled_method early_exit(const model_pair&, toy::context& target, const method_settings& settings) {
  const std::size_t layers = target.layer_count();
  const auto first = specdec::layer_skip::early_exit(layers, settings.assistant_early_exit.value_or(layers / 2));
  return assembled(std::make_shared<specdec::layer_skip_drafter<toy::context>>(
                       target, first, specdec::constant{}, specdec::model_drafter_options{.top = settings.draft_top}),
                   policys_gamma);
}

/// Begin and end of text, which both models know, by no text that could tell.
std::vector<specdec::token_pair> common_control_tokens(const model_pair& models) {
  const toy::tokenizer& target = models.target.tokenizer;
  const toy::tokenizer& draft = models.draft->tokenizer;
  std::vector<specdec::token_pair> pairs;
  if (target.bos() && draft.bos()) pairs.push_back({*target.bos(), *draft.bos()});
  if (target.eos() && draft.eos()) pairs.push_back({*target.eos(), *draft.eos()});
  return pairs;
}

/// Two tokenizers' vocabularies, and a draft model translated by them.
struct translation {
  translation(const model_pair& models)
      : map(std::make_unique<specdec::vocabulary_map>(models.target.tokenizer, models.draft->tokenizer,
                                                      common_control_tokens(models))),
        model(toy::context(models.draft->model), *map) {}

  std::unique_ptr<const specdec::vocabulary_map> map;
  specdec::translated<toy::context> model;
};

assembled_method translated(const model_pair& models, toy::context&, const method_settings& settings) {
  struct translated_drafter {
    explicit translated_drafter(translation& words, const specdec::model_drafter_options& options)
        : drafter(words.model, specdec::constant{}, options) {}

    void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& answer) {
      drafter.propose(request, chance, answer);
    }

    specdec::model_drafter<specdec::translated<toy::context>> drafter;
  };
  return assembled(
      make_drafter<translated_drafter>(translation(models), specdec::model_drafter_options{.top = settings.draft_top}),
      [](translated_drafter& self) -> std::size_t& { return self.drafter.policy().gamma; });
}

assembled_method universal(const model_pair& models, toy::context&, const method_settings& settings) {
  specdec::universal_options options{.target_lookbehind = settings.target_lookbehind,
                                     .assistant_lookbehind = settings.assistant_lookbehind};
  options.control.pairs = common_control_tokens(models);
  using drafter = specdec::universal_drafter<toy::context, toy::tokenizer, toy::tokenizer>;
  return assembled(make_drafter<drafter>(toy::context(models.draft->model), models.target.tokenizer,
                                         models.draft->tokenizer, options),
                   policys_gamma);
}

/// A method of any engine, on the toy backend.
template <assembled_method (*Anywhere)(any_context, const method_settings&)>
assembled_method here(const model_pair& models, toy::context&, const method_settings& settings) {
  return Anywhere(models.draft ? any_context(toy::context(models.draft->model)) : any_context(), settings);
}

constexpr std::array all_methods{
    method{"autoregressive", "one token per call of the target", "the baseline", true, draft_source::nothing, true, 0,
           here<autoregressive>, autoregressive},
    method{"rejection", "a draft model's tokens, each accepted with probability p/q",
           "Leviathan et al., Chen et al. 2023", true, draft_source::model, true, 2, here<rejection>, rejection},
    method{"lenient", "the same with probability p/(l q), l < 1", "Leviathan et al. 2023, A.5", false,
           draft_source::model, true, 3, here<lenient>, lenient},
    method{"block", "a draft model's tokens, kept or refused as a block", "Sun et al. 2024", true, draft_source::model,
           true, 3, here<block>, block},
    method{"coupled", "target and draft share their noise: the text depends on the seed alone", "Daliri et al. 2024",
           true, draft_source::model, true, 2, here<coupled>, coupled},
    method{"tree", "a draft model's tokens, in a tree of the best shape", "Chen et al. 2024, Sequoia", true,
           draft_source::model, false, 8, here<tree>, tree, true},
    method{"dynamic_tree", "a tree that grows where the draft model is sure", "Li et al. 2024, EAGLE-2", true,
           draft_source::model, false, 8, here<dynamic_tree>, dynamic_tree, true},
    method{"typical", "keeps what is probable enough for how sure the target is", "Cai et al. 2024, Medusa", false,
           draft_source::model, true, 4, here<typical>, typical},
    method{"assisted", "a draft model goes on while it is sure", "Hugging Face, Gante 2023", true, draft_source::model,
           false, 20, here<assisted>, assisted},
    method{"cost_model", "a draft model goes on as far as measured costs and acceptance say it pays",
           "Leviathan et al. 2023, 3.8, with costs measured", true, draft_source::model, false, 16, here<cost_model>,
           cost_model},
    method{"adaedl", "a draft model goes on while its entropy is low", "Agrawal et al. 2024", true, draft_source::model,
           false, 8, here<adaedl>, adaedl},
    method{"prompt_lookup", "what followed when the last tokens came before", "Saxena 2023", true, draft_source::text,
           false, 10, here<prompt_lookup>, prompt_lookup},
    method{"suffix", "what most often followed the longest end of the text that came before", "Oliaro et al. 2024",
           true, draft_source::text, false, 64, here<suffix>, suffix},
    method{"cascade", "a draft model, whose own draft is looked up in the text", "Chen et al. 2024", true,
           draft_source::model, true, 4, here<cascade>, cascade},
    method{"universal", "a draft model of any vocabulary, through the text", "Timor et al. 2025; Hugging Face", true,
           draft_source::foreign_model, false, 20, universal},
    method{"translated", "a draft model of another vocabulary, by the tokens in common", "Timor et al. 2025, TLI", true,
           draft_source::foreign_model, true, 2, translated},
    method{"ngram", "what follows the last token in other texts", "Leviathan et al. 2023, table 3", true,
           draft_source::text, true, 1, ngram},
    method{"big_little", "a small model writes while it is sure; the target rolls back what it finds unlikely",
           "Kim et al. 2023", false, draft_source::model, false, 10, here<big_little>, big_little},
    method{"draft_verify", "the target goes on with layers left out while it is sure", "Zhang et al. 2024", true,
           draft_source::target, false, 8, draft_verify},
    method{"early_exit", "the target drafts with its first layers", "Hugging Face; Elhoushi et al. 2024", true,
           draft_source::target, true, 2, early_exit},
};

}  // namespace

std::span<const method> methods() { return all_methods; }

const method& find_method(std::string_view name) {
  const auto found =
      std::find_if(all_methods.begin(), all_methods.end(), [&](const method& m) { return m.name == name; });
  if (found != all_methods.end()) return *found;
  std::vector<std::string_view> names;
  for (const method& m : all_methods) names.push_back(m.name);
  throw program::usage_error(fmt::format("--method: expected one of {}; got '{}'", fmt::join(names, ", "), name));
}

}  // namespace measurement
