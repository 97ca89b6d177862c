#include "cases.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include <specdec/specdec.hpp>

#include "mistakes.hpp"
#include "reference_law.hpp"

namespace frequencies {
namespace {

using specdec::any_drafter;
using text_session = specdec::session<specdec::any_lossy_verifier<>>;

// A session goes on behind its text with the prompt again, so that it comes by the same law at many rounds and places;
// the next differs from it in stream or in seed.
constexpr std::size_t texts_per_session = 16;
constexpr std::size_t sessions_per_block = texts_per_block / texts_per_session;
constexpr std::size_t streams_per_seed = 64;
static_assert(texts_per_block % texts_per_session == 0);

specdec::generate_options options_of(const specdec::sampling_params& sampling, std::uint64_t seed,
                                     std::size_t session) {
  return {.max_tokens = text_length,
          .sampling = sampling,
          .seed = seed + session / streams_per_seed,
          .stream = static_cast<std::uint32_t>(session % streams_per_seed),
          .log_probabilities = specdec::log_probability_of::nothing};
}

/// What the drafts of a case are made with.
struct draft_setting {
  const char* name;
  specdec::sampling_params sampling;
  double quality;  ///< of the draft model
  specdec::model_drafter_options options;
  std::size_t vocab_size = width;

  [[nodiscard]] markov_model target() const { return markov_model(target_table(vocab_size)); }
  [[nodiscard]] markov_model draft() const { return markov_model(draft_table(quality, vocab_size)); }
  [[nodiscard]] std::array<token_id, std::size(prompt)> begin() const {
    std::array<token_id, std::size(prompt)> text{};
    std::transform(std::begin(prompt), std::end(prompt), text.begin(), [this](token_id of_class) {
      return first_of_class(static_cast<std::size_t>(of_class), vocab_size);
    });
    return text;
  }
};

/// Has sessions begin the texts of a case, and counts them.
class text_counter {
 public:
  text_counter(const draft_setting& how, std::span<std::uint64_t> counts)
      : prompt_(how.begin()), vocab_size_(how.vocab_size), counts_(counts) {}

  void count(std::span<const token_id> text) const {
    std::size_t index = 0;
    for (const token_id token : text) index = index * width + class_of(token, vocab_size_);
    ++counts_[index];
  }

  /// Has a session begin its text number i.
  template <class Session>
  void begin(Session& text, std::size_t i) const {
    i == 0 ? text.begin(prompt_) : text.append(prompt_);
  }

  /// Generates the texts of one session, each by `generate(session)`.
  template <class Session, class Generate>
  void count_session(Session& text, const Generate& generate) const {
    for (std::size_t i = 0; i < texts_per_session; ++i) {
      begin(text, i);
      generate(text);
      count(text.generated());
    }
  }

 private:
  std::array<token_id, std::size(prompt)> prompt_;
  std::size_t vocab_size_;
  std::span<std::uint64_t> counts_;
};

/// A draft model, and the drafter that `make(draft, mini)` makes of it and of one that is worse.
struct drafting {
  template <class Make>
  drafting(const draft_setting& how, const Make& make)
      : draft(how.draft()), mini(draft_table(how.quality / 2, how.vocab_size)), drafter(make(draft, mini)) {}
  drafting(const drafting&) = delete;
  drafting& operator=(const drafting&) = delete;

  markov_model draft, mini;
  any_drafter drafter;
};

/// Near and far drafts, whole laws and short ones, every filter in both orders.
std::vector<draft_setting> draft_settings() {
  using specdec::filter_order;
  return {
      {"T 1, near", {}, 0.8, {.top = 0}},
      {"T 0.7, far", {.temperature = 0.7}, 0.1, {.top = 3}},
      {"T 1.4, top-p 0.9, far", {.temperature = 1.4, .top_p = 0.9}, 0.2, {.top = 0}},
      {"top-k 4, min-p 0.1, then T 0.8",
       {.temperature = 0.8, .top_k = 4, .min_p = 0.1, .order = filter_order::llama_cpp},
       0.6,
       {.sampling = specdec::sampling_params{}, .top = 4}},
  };
}

/// The same over several blocks of the vocabulary arithmetic: draws and residuals of whole laws, and filters.
std::vector<draft_setting> wide_draft_settings() {
  return {
      {"2500 tokens, T 1, near", {}, 0.8, {.top = 0}, wide},
      {"2500 tokens, T 1.4, min-p 0.3", {.temperature = 1.4, .min_p = 0.3}, 0.3, {.top = 64}, wide},
  };
}

constexpr std::size_t gamma = 3;

const auto chains = [](const specdec::model_drafter_options& options) {
  return [options](markov_model& draft, markov_model&) -> any_drafter {
    return specdec::model_drafter(draft, specdec::constant{gamma}, options);
  };
};

const auto trees = [](specdec::sibling_draw draw) {
  return [draw](const specdec::model_drafter_options& options) {
    return [draw, options](markov_model& draft, markov_model&) -> any_drafter {
      constexpr std::array<std::size_t, 2> branching{2, 2};
      return specdec::tree_drafter(draft, specdec::tree_shape::uniform(branching), options, draw);
    };
  };
};

const auto dynamic_trees = [](const specdec::model_drafter_options& options) {
  return [options](markov_model& draft, markov_model&) -> any_drafter {
    return specdec::dynamic_tree_drafter(draft, {.nodes = 5, .depth = 3, .width = 3, .sampling = options.sampling});
  };
};

const auto cascades = [](const specdec::model_drafter_options& options) {
  return [options](markov_model& draft, markov_model& mini) -> any_drafter {
    return specdec::cascade_drafter(draft, specdec::model_drafter(mini, specdec::constant{2}, options),
                                    specdec::constant{gamma}, options);
  };
};

const auto looked_up = [](const specdec::model_drafter_options&) {
  return [](markov_model&, markov_model&) -> any_drafter { return specdec::prompt_lookup{.num_output_tokens = gamma}; };
};

const auto suffixes = [](const specdec::model_drafter_options&) {
  return [](markov_model&, markov_model&) -> any_drafter {
    return specdec::suffix_drafter({.max_spec_tokens = gamma, .min_token_prob = 0.1});
  };
};

const auto bigrams = [](const specdec::model_drafter_options&) {
  return [](markov_model&, markov_model&) -> any_drafter {
    static constexpr token_id text[] = {3, 1, 4, 1, 0, 2, 1, 3, 3, 1, 2, 4, 4, 0, 1, 1, 2, 3, 0, 4, 2, 2, 0, 0, 3};
    static const specdec::ngram_table table(width, text);
    return specdec::ngram_drafter(table, specdec::constant{gamma});
  };
};

const auto either = [](const specdec::model_drafter_options& options) {
  return [options](markov_model& draft, markov_model&) -> any_drafter {
    return specdec::first_of(specdec::suffix_drafter({.max_spec_tokens = gamma, .min_score = 0.8}),
                             specdec::model_drafter(draft, specdec::constant{gamma}, options));
  };
};

const auto nothing = [](const specdec::model_drafter_options&) {
  return [](markov_model&, markov_model&) -> any_drafter { return {}; };
};

generation_case case_of(std::string rule_name, std::string drafts, const draft_setting& how) {
  return {std::move(rule_name), std::move(drafts), how.name, how.sampling, how.vocab_size};
}

/// A rule over the drafts that `make(draft, mini)` makes, generated one text after another.
template <class Make>
generation_case one_by_one(std::string rule_name, std::string drafts, const draft_setting& how,
                           const specdec::any_lossy_verifier<>& rule, const Make& make) {
  generation_case made = case_of(std::move(rule_name), std::move(drafts), how);
  made.count = [how, rule, make](std::uint64_t seed, std::size_t block, std::span<std::uint64_t> counts) {
    const text_counter counter(how, counts);
    markov_model target = how.target();
    drafting with(how, make);
    for (std::size_t i = 0; i < sessions_per_block; ++i) {
      text_session text(how.vocab_size, options_of(how.sampling, seed, block * sessions_per_block + i), rule);
      counter.count_session(text, [&](text_session& t) { speculative_generate(t, target, with.drafter); });
    }
  };
  return made;
}

/// Without drafts, each text a call of its own.
generation_case autoregressive(const draft_setting& how) {
  generation_case made = case_of("none", "no drafts, autoregressive_generate", how);
  made.count = [how](std::uint64_t seed, std::size_t block, std::span<std::uint64_t> counts) {
    const text_counter counter(how, counts);
    const auto prompt_tokens = how.begin();
    markov_model target = how.target();
    std::vector<token_id> text;
    for (std::size_t i = 0; i < texts_per_block; ++i) {
      const auto made_of =
          autoregressive_generate(target, prompt_tokens, options_of(how.sampling, seed, block * texts_per_block + i));
      text.clear();
      for (const specdec::emitted_token& one : made_of.tokens) text.push_back(one.id);
      counter.count(text);
    }
  };
  return made;
}

/// The same while the draft works ahead.
template <class Rule>
generation_case overlapped(std::string rule_name, const draft_setting& how, const Rule& rule) {
  generation_case made = case_of(std::move(rule_name), "chains, drafted ahead", how);
  made.count = [how, rule](std::uint64_t seed, std::size_t block, std::span<std::uint64_t> counts) {
    const text_counter counter(how, counts);
    markov_model target = how.target();
    markov_model draft = how.draft();
    specdec::model_drafter drafter(draft, specdec::constant{gamma}, how.options);
    specdec::one_after_the_other executor;
    for (std::size_t i = 0; i < sessions_per_block; ++i) {
      specdec::session text(how.vocab_size, options_of(how.sampling, seed, block * sessions_per_block + i), rule);
      specdec::draft_ahead ahead(drafter);
      counter.count_session(text, [&](auto& t) { overlapped_generate(t, target, ahead, executor); });
    }
  };
  return made;
}

/// Counts the texts of a block, generated in batches of so many sequences that `drafter` drafts for.
template <class Rule, class Drafting>
void count_batches(const draft_setting& how, const Rule& rule, std::size_t sequences, Drafting& drafter,
                   std::uint64_t seed, std::size_t block, std::span<std::uint64_t> counts) {
  const text_counter counter(how, counts);
  specdec::separate_sequences target(std::vector<markov_model>(sequences, how.target()));
  specdec::session_batch<decltype(target), Drafting, Rule> batch(target, drafter);
  for (std::size_t i = 0; i < sessions_per_block; i += sequences) {
    std::vector<specdec::session<Rule>> texts;
    for (std::size_t j = 0; j < sequences; ++j) {
      texts.emplace_back(how.vocab_size, options_of(how.sampling, seed, block * sessions_per_block + i + j), rule);
    }
    for (std::size_t n = 0; n < texts_per_session; ++n) {
      for (auto& text : texts) {
        counter.begin(text, n);
        if (n == 0) batch.join(text);
      }
      while (batch.running()) batch.round();
      for (const auto& text : texts) counter.count(text.generated());
    }
    for (auto& text : texts) batch.leave(text);
  }
}

constexpr std::size_t sequences_per_batch = 4;
static_assert(sessions_per_block % sequences_per_batch == 0);

/// Several sessions at once over a target and a draft of several sequences.
template <class Rule>
generation_case batched(std::string rule_name, const draft_setting& how, const Rule& rule) {
  generation_case made = case_of(std::move(rule_name), "chains, in batches of 4", how);
  made.count = [how, rule](std::uint64_t seed, std::size_t block, std::span<std::uint64_t> counts) {
    specdec::separate_sequences draft(std::vector<markov_model>(sequences_per_batch, how.draft()));
    specdec::batch_model_drafter drafter(draft, specdec::constant{gamma}, how.options);
    count_batches(how, rule, sequences_per_batch, drafter, seed, block, counts);
  };
  return made;
}

/// The same with a drafter for each sequence.
generation_case batched_apart(const draft_setting& how) {
  generation_case made = case_of("rejection", "chains, in batches of 4, each with a drafter", how);
  made.count = [how](std::uint64_t seed, std::size_t block, std::span<std::uint64_t> counts) {
    std::vector<markov_model> drafts(sequences_per_batch, how.draft());
    specdec::separate_drafters drafter(sequences_per_batch, [&](std::size_t sequence) {
      return specdec::model_drafter(drafts[sequence], specdec::constant{gamma}, how.options);
    });
    count_batches(how, specdec::rejection{}, sequences_per_batch, drafter, seed, block, counts);
  };
  return made;
}

}  // namespace

std::vector<generation_case> lossless_cases() {
  std::vector<generation_case> cases;
  const auto add = [&]<class Rule>(const char* rule_name, const char* drafts, const Rule& rule, const auto& make) {
    static_assert(Rule::lossless);
    for (const draft_setting& how : draft_settings()) {
      cases.push_back(one_by_one(rule_name, drafts, how, rule, make(how.options)));
    }
  };
  const auto add_wide = [&](const char* rule_name, const char* drafts, const auto& rule, const auto& make) {
    for (const draft_setting& how : wide_draft_settings()) {
      cases.push_back(one_by_one(rule_name, drafts, how, rule, make(how.options)));
    }
  };
  const auto distinct = trees(specdec::sibling_draw::distinct);
  const auto independent = trees(specdec::sibling_draw::independent);
  add("none", "no drafts", specdec::rejection{}, nothing);
  add_wide("none", "no drafts", specdec::rejection{}, nothing);
  for (const draft_setting& how : draft_settings()) cases.push_back(autoregressive(how));
  add("rejection", "chains", specdec::rejection{}, chains);
  add_wide("rejection", "chains", specdec::rejection{}, chains);
  add("rejection", "chains, by a cascade", specdec::rejection{}, cascades);
  add("rejection", "chains, looked up", specdec::rejection{}, looked_up);
  add("rejection", "chains, by suffixes", specdec::rejection{}, suffixes);
  add("rejection", "chains, by bigrams", specdec::rejection{}, bigrams);
  add("rejection", "chains, by suffixes or a model", specdec::rejection{}, either);
  for (const draft_setting& how : draft_settings()) cases.push_back(batched("rejection", how, specdec::rejection{}));
  for (const draft_setting& how : draft_settings()) cases.push_back(batched_apart(how));
  for (const draft_setting& how : draft_settings()) cases.push_back(overlapped("rejection", how, specdec::rejection{}));
  add("block_verification", "chains", specdec::block_verification{}, chains);
  add_wide("block_verification", "chains", specdec::block_verification{}, chains);
  for (const draft_setting& how : draft_settings()) {
    cases.push_back(overlapped("block_verification", how, specdec::block_verification{}));
  }
  for (const draft_setting& how : draft_settings()) {
    cases.push_back(batched("block_verification", how, specdec::block_verification{}));
  }
  add("coupled", "chains", specdec::coupled{}, chains);
  add_wide("coupled", "chains", specdec::coupled{}, chains);
  for (const draft_setting& how : draft_settings()) cases.push_back(overlapped("coupled", how, specdec::coupled{}));
  add("coupled", "trees, siblings distinct", specdec::coupled{}, distinct);
  add("recursive_rejection", "trees, siblings distinct", specdec::recursive_rejection{}, distinct);
  add("recursive_rejection", "trees, siblings independent", specdec::recursive_rejection{}, independent);
  add("traversal", "trees, siblings distinct", specdec::traversal{}, distinct);
  add_wide("traversal", "trees, siblings distinct", specdec::traversal{}, distinct);
  add("traversal", "trees, siblings independent", specdec::traversal{}, independent);
  add("k_seq", "trees, siblings independent", specdec::k_seq{}, independent);
  add("naive_sampling", "trees of certain tokens", specdec::naive_sampling{}, dynamic_trees);
  add("naive_sampling", "trees, siblings distinct", specdec::naive_sampling{}, distinct);
  return cases;
}

std::vector<generation_case> mistaken_cases() {
  const draft_setting how = draft_settings()[2];
  std::vector<generation_case> cases;
  const auto add = [&](std::string rule_name, const char* drafts, const specdec::any_lossy_verifier<>& rule,
                       const auto& make, std::uint64_t tokens_to_find) {
    cases.push_back(one_by_one(std::move(rule_name), drafts, how, rule, make(how.options)));
    cases.back().is_lossless = false;
    cases.back().tokens_to_find = tokens_to_find;
  };
  for (const mistakes::known& one : mistakes::of_chains())
    add(one.name, "chains", one.rule, chains, one.tokens_to_find);
  for (const mistakes::known& one : mistakes::of_trees()) {
    add(one.name, "trees, siblings distinct", one.rule, trees(specdec::sibling_draw::distinct), one.tokens_to_find);
  }
  const auto peeking = [](const specdec::model_drafter_options& options) {
    return [options](markov_model& draft, markov_model&) -> any_drafter {
      return mistakes::peeking_drafter(draft, options);
    };
  };
  add("unlikely draws are dropped from the draft", "chains", specdec::rejection{}, peeking, 100'000);
  add("lenient, l = 0.9", "chains", specdec::lenient(0.9), chains, 100'000);
  add("lenient, l = 0.99", "chains", specdec::lenient(0.99), chains, 25'000'000);
  add("lenient, l = 0.998", "chains", specdec::lenient(0.998), chains, 500'000'000);
  return cases;
}

std::vector<std::size_t> blocks_for(std::span<const generation_case> cases, std::uint64_t tokens) {
  const auto parts_of = [](const generation_case& one) -> std::uint64_t { return one.vocab_size == width ? 4 : 1; };
  std::vector<std::size_t> blocks;
  for (const generation_case& one : cases) {
    std::uint64_t of_rule = 0;
    for (const generation_case& other : cases) of_rule += other.rule == one.rule ? parts_of(other) : 0;
    const std::uint64_t share =
        one.is_lossless ? (tokens * parts_of(one) + of_rule - 1) / of_rule : std::min(tokens / 4, one.tokens_to_find);
    blocks.push_back(static_cast<std::size_t>((share + tokens_per_block - 1) / tokens_per_block));
  }
  return blocks;
}

exact_law law_of(const generation_case& one) {
  const auto table = target_table(one.vocab_size);
  exact_law law;
  for (std::size_t a = 0; a < width; ++a) {
    for (std::size_t b = 0; b < width; ++b) {
      const auto row = table->behind(a, b);
      const auto p = laws::reference_law({row.begin(), row.end()}, {}, 0, one.sampling);
      const auto part = static_cast<std::ptrdiff_t>(one.vocab_size / width);
      for (auto begin = p.begin(); begin != p.end(); begin += part) {
        law.of_tokens.push_back(std::accumulate(begin, begin + part, 0.0));
      }
    }
  }
  const auto behind = [&](laws::text_view text) {
    const std::size_t context =
        static_cast<std::size_t>(text[text.size() - 2]) * width + static_cast<std::size_t>(text.back());
    const auto first = law.of_tokens.begin() + static_cast<std::ptrdiff_t>(context * width);
    return laws::probabilities(first, first + width);
  };
  law.of_texts = specdec::testing::joint_law_of(width, text_length, {std::begin(prompt), std::end(prompt)}, behind);
  return law;
}

std::vector<std::uint64_t> token_counts(std::span<const std::uint64_t> texts) {
  std::vector<std::uint64_t> counts(width * width * width);
  for (std::size_t text = 0; text < text_count; ++text) {
    if (texts[text] == 0) continue;
    auto a = static_cast<std::size_t>(prompt[0]);
    auto b = static_cast<std::size_t>(prompt[1]);
    for (std::size_t place = text_count / width, rest = text; place > 0; rest %= place, place /= width) {
      const std::size_t token = rest / place;
      counts[(a * width + b) * width + token] += texts[text];
      a = std::exchange(b, token);
    }
  }
  return counts;
}

}  // namespace frequencies
