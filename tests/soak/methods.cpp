#include "methods.hpp"

#include <memory>
#include <utility>

#include <measurement/prompts.hpp>

namespace soak {
namespace {

using measurement::any_context;
using measurement::assembled_method;
using measurement::method_settings;
using specdec::any_drafter;

program::language_model load(const std::filesystem::path& file) { return program::load_model(file, {.threads = 1}); }

/// Made of a drafter and a rule; how far it drafts is its own affair.
method own(std::string name, const any_rule& rule,
           const std::function<any_drafter(bench&, const method_settings&)>& make) {
  method made{.name = std::move(name)};
  made.make = [rule, make](const workplace&, bench& models, const method_settings& settings) {
    return assembled_method{make(models, settings), rule, [](std::size_t) {}};
  };
  return made;
}

specdec::model_drafter_options options_of(const method_settings& settings) { return {.top = settings.draft_top}; }

ahead_drafter chain_ahead(bench& models, const method_settings& settings, std::size_t gamma) {
  return ahead_drafter(specdec::model_drafter(models.draft, specdec::constant{gamma}, options_of(settings)));
}

ahead_drafter lookup_ahead(bench&, const method_settings& settings, std::size_t gamma) {
  return ahead_drafter(specdec::prompt_lookup{gamma, settings.max_matching_ngram_size});
}

ahead_drafter suffix_ahead(bench&, const method_settings& settings, std::size_t gamma) {
  return ahead_drafter(specdec::suffix_drafter({.max_spec_tokens = gamma, .min_token_prob = settings.min_token_prob}));
}

ahead_drafter cascade_ahead(bench& models, const method_settings& settings, std::size_t gamma) {
  const specdec::suffix_options likely{.max_spec_tokens = 8, .min_token_prob = 0.5};
  return ahead_drafter(specdec::cascade_drafter(models.draft, specdec::suffix_drafter(likely), specdec::constant{gamma},
                                                options_of(settings)));
}

any_drafter tree_of(bench& models, const method_settings& settings, specdec::sibling_draw draw) {
  constexpr std::size_t branching[] = {3, 2, 1};
  return specdec::tree_drafter(models.draft, specdec::tree_shape::uniform(branching), {.top = settings.draft_top},
                               draw);
}

}  // namespace

workplace::workplace(const std::filesystem::path& folder)
    : pair{load(folder / "target.gguf"), load(folder / "draft.gguf")},
      foreign{pair.target, load(folder / "draft-1k.gguf")},
      mini(load(folder / "draft-mini.gguf").model) {
  for (const measurement::prompt& one : measurement::read_prompts(folder / "prompts.jsonl")) {
    prompts.push_back(pair.target.tokenizer.encode(one.text));
  }
}

std::vector<method> all_methods() {
  using measurement::draft_source;
  std::vector<method> all;
  for (const measurement::method& published : measurement::methods()) {
    if (published.drafts_with == draft_source::nothing) continue;
    method made{.name = std::string(published.name),
                .lossless = published.lossless,
                .branches = published.drafts_trees,
                .uses_target = published.drafts_with == draft_source::target};
    const auto is_one_of = [&](std::initializer_list<const char*> names) {
      for (const char* name : names) {
        if (published.name == name) return true;
      }
      return false;
    };
    made.learns = is_one_of({"tree", "assisted", "adaedl", "cost_model", "draft_verify"});
    made.reads_clock = is_one_of({"cost_model"});
    made.make = [&published](const workplace& models, bench& contexts, const method_settings& settings) {
      if (published.assemble_anywhere != nullptr) {
        return published.assemble_anywhere(any_context(std::ref(contexts.draft)), settings);
      }
      const bool is_foreign = published.drafts_with == draft_source::foreign_model;
      return published.assemble(is_foreign ? models.foreign : models.pair, contexts.target.model(), settings);
    };
    if (is_one_of({"rejection", "block", "coupled"})) made.make_ahead = chain_ahead;
    if (is_one_of({"prompt_lookup"})) made.make_ahead = lookup_ahead;
    if (is_one_of({"suffix"})) made.make_ahead = suffix_ahead;
    if (is_one_of({"cascade"})) made.make_ahead = cascade_ahead;
    all.push_back(std::move(made));
  }

  all.push_back(own("traversal", specdec::traversal{}, [](bench& models, const method_settings& settings) {
    return tree_of(models, settings, specdec::sibling_draw::distinct);
  }));
  all.back().branches = true;
  all.push_back(own("k_seq", specdec::k_seq{}, [](bench& models, const method_settings& settings) {
    return tree_of(models, settings, specdec::sibling_draw::independent);
  }));
  all.back().branches = true;
  all.push_back(
      own("recursive_rejection", specdec::recursive_rejection{}, [](bench& models, const method_settings& settings) {
        return tree_of(models, settings, specdec::sibling_draw::independent);
      }));
  all.back().branches = true;
  all.push_back(own("dynamic_tree_by_gain", specdec::recursive_rejection{}, [](bench& models, const method_settings&) {
    return any_drafter(
        specdec::dynamic_tree_drafter(models.draft, {.nodes = 12, .depth = 4, .width = 4, .least_gain = 0.2}));
  }));
  all.back().branches = true;
  all.push_back(own("first_of", specdec::rejection{}, [](bench& models, const method_settings& settings) {
    return any_drafter(
        specdec::first_of(specdec::forced_tokens{}, specdec::suffix_drafter({.min_score = 0.8}),
                          specdec::model_drafter(models.draft, specdec::constant{3}, options_of(settings))));
  }));
  all.back().make_ahead = [](bench& models, const method_settings& settings, std::size_t gamma) {
    return ahead_drafter(
        specdec::first_of(specdec::forced_tokens{}, specdec::suffix_drafter({.min_score = 0.8}),
                          specdec::model_drafter(models.draft, specdec::constant{gamma}, options_of(settings))));
  };
  all.push_back(
      own("cascade_of_models", specdec::block_verification{}, [](bench& models, const method_settings& settings) {
        const specdec::model_drafter_options options = options_of(settings);
        return any_drafter(specdec::cascade_drafter(models.draft,
                                                    specdec::model_drafter(models.mini, specdec::constant{2}, options),
                                                    specdec::constant{4}, options));
      }));
  all.back().make_ahead = [](bench& models, const method_settings& settings, std::size_t gamma) {
    const specdec::model_drafter_options options = options_of(settings);
    return ahead_drafter(specdec::cascade_drafter(models.draft,
                                                  specdec::model_drafter(models.mini, specdec::constant{2}, options),
                                                  specdec::constant{gamma}, options));
  };
  all.push_back(own("fallback", specdec::rejection{}, [](bench& models, const method_settings& settings) {
    return any_drafter(
        specdec::model_drafter(models.draft, specdec::fallback{.fallback_threshold = 0.3}, options_of(settings)));
  }));
  all.back().make_ahead = [](bench& models, const method_settings& settings, std::size_t gamma) {
    const specdec::fallback sure{.fallback_threshold = 0.3, .num_small_iters = gamma};
    return ahead_drafter(specdec::model_drafter(models.draft, sure, options_of(settings)));
  };
  all.push_back(own("chain_of_its_own", specdec::rejection{}, [](bench& models, const method_settings& settings) {
    return any_drafter(specdec::model_drafter(
        models.draft, specdec::constant{4},
        {.sampling = specdec::sampling_params{.temperature = 0.7, .top_k = 20}, .top = settings.draft_top}));
  }));
  return all;
}

}  // namespace soak
