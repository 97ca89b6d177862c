// A user's program compiled without exceptions and without run-time types: it generates with every rule, kind of draft
// and driver, and then asks for what the library refuses.
//
//   without_exceptions          prints how many tokens it made
//   without_exceptions refused  ends with the library's message

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <specdec/adapters/background_thread.hpp>
#include <specdec/specdec.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "expected -fno-exceptions and -fno-rtti"
#endif

namespace {

constexpr std::size_t vocabulary = 50;
constexpr std::size_t length = 40;
const std::vector<specdec::token_id> prompt{1, 2, 3};

/// Scores chains and trees, in one layer, whether that is left out or not; a row depends on the last token alone.
class small_model {
 public:
  explicit small_model(std::uint32_t noise) : noise_(noise) {}

  [[nodiscard]] std::size_t vocab_size() const { return vocabulary; }
  [[nodiscard]] std::size_t size() const { return context_.size(); }
  [[nodiscard]] static std::size_t layer_count() { return 1; }
  void truncate(std::size_t n) {
    nodes_.clear();
    context_.resize(n);
  }
  specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows) {
    context_.insert(context_.end(), tokens.begin(), tokens.end());
    return rows_behind(tokens.last(rows));
  }
  specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows,
                                     const specdec::layer_skip&) {
    return decode(tokens, rows);
  }
  specdec::logits_view<float> decode_tree(std::span<const specdec::token_id> tokens,
                                          std::span<const specdec::node_id> parents, std::size_t rows) {
    const std::size_t text = tokens.size() - parents.size();
    if (text > 0) nodes_.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) (i < text ? context_ : nodes_).push_back(tokens[i]);
    return rows_behind(tokens.last(rows));
  }
  void keep(std::span<const specdec::node_id> path) {
    for (const specdec::node_id node : path) context_.push_back(nodes_[node - 1]);
    nodes_.clear();
  }

 private:
  specdec::logits_view<float> rows_behind(std::span<const specdec::token_id> tokens) {
    logits_.clear();
    for (const specdec::token_id last : tokens) {
      auto state = static_cast<std::uint32_t>(last) + 1;
      for (std::size_t t = 0; t < vocabulary; ++t) {
        state = state * 1664525U + 1013904223U;
        logits_.push_back(static_cast<float>((state >> 24) + (state >> 8 & noise_)) / 32);
      }
    }
    return {logits_.data(), tokens.size(), vocabulary};
  }

  std::uint32_t noise_;
  std::vector<specdec::token_id> context_;
  std::vector<specdec::token_id> nodes_;
  std::vector<float> logits_;
};

/// Its tokens are letters.
struct letters {
  [[nodiscard]] static std::size_t vocab_size() { return vocabulary; }
  void decode(specdec::token_id token, std::string& bytes) const { bytes += static_cast<char>('A' + token); }
  void encode(std::string_view text, std::vector<specdec::token_id>& tokens) const {
    for (const char c : text) tokens.push_back(c - 'A');
  }
};

specdec::generate_options options() { return {.max_tokens = length, .sampling = {.temperature = 0.8, .top_p = 0.95}}; }

template <class Rule, class Drafter>
std::size_t generated(const Rule& rule, Drafter drafter) {
  small_model target(0);
  specdec::session text(vocabulary, options(), rule);
  text.begin(prompt);
  specdec::speculative_generate(text, target, drafter);
  return text.generated().size();
}

template <class Rule>
std::size_t generated(const Rule& rule) {
  small_model draft(31);
  const std::vector<std::size_t> branching{3, 2};
  return generated(rule, specdec::model_drafter(draft, specdec::constant{4})) +
         generated(rule, specdec::tree_drafter(draft, specdec::tree_shape::uniform(branching))) +
         generated(rule, specdec::dynamic_tree_drafter(draft, {.nodes = 8, .depth = 3})) +
         generated(rule, specdec::prompt_lookup{}) + generated(rule, specdec::suffix_drafter());
}

std::size_t generated_with_every_rule() {
  return generated(specdec::rejection{}) + generated(specdec::block_verification{}) +
         generated(specdec::naive_sampling{}) + generated(specdec::recursive_rejection{}) +
         generated(specdec::k_seq{}) + generated(specdec::traversal{}) + generated(specdec::coupled{}) +
         generated(specdec::lenient(0.5)) + generated(specdec::big_little()) + generated(specdec::typical_acceptance());
}

/// By the drafters that not every rule need see.
std::size_t generated_with_other_drafters() {
  const specdec::rejection rule;
  const letters tokenizer;
  small_model draft(31);
  small_model foreign(31);
  const specdec::vocabulary_map same(tokenizer, tokenizer);
  specdec::translated<small_model&> translated(foreign, same);
  specdec::recorded target{small_model(0)};
  specdec::session skipping(vocabulary, options());
  skipping.begin(prompt);
  specdec::layer_skip_drafter itself(target, specdec::layer_skip(1), specdec::constant{4});
  specdec::speculative_generate(skipping, target, itself);
  return skipping.generated().size() +
         generated(rule, specdec::cascade_drafter(draft, specdec::prompt_lookup{}, specdec::constant{4})) +
         generated(rule, specdec::first_of(specdec::suffix_drafter(), specdec::prompt_lookup{})) +
         generated(rule, specdec::universal_drafter(draft, tokenizer, tokenizer)) +
         generated(rule, specdec::model_drafter(translated, specdec::cost_model{})) +
         generated(rule, specdec::any_drafter(specdec::prompt_lookup{}));
}

std::size_t generated_while_drafting_ahead() {
  small_model target(0);
  small_model draft(31);
  specdec::background_thread helper;
  specdec::session text(vocabulary, options());
  text.begin(prompt);
  specdec::model_drafter drafter(draft, specdec::constant{4});
  specdec::draft_ahead ahead(drafter);
  specdec::overlapped_generate(text, target, ahead, helper);
  return text.generated().size();
}

std::size_t generated_in_a_batch() {
  specdec::separate_sequences targets(std::vector<small_model>(2, small_model(0)));
  specdec::separate_sequences drafts(std::vector<small_model>(2, small_model(31)));
  specdec::batch_model_drafter drafter(drafts, specdec::constant{4});
  specdec::session_batch batch(targets, drafter);
  specdec::session one(vocabulary, options());
  specdec::session another = one.fork(1);
  for (specdec::session<>* text : {&one, &another}) {
    text->begin(prompt);
    batch.join(*text);
  }
  while (batch.running()) batch.round();
  return one.generated().size() + another.generated().size();
}

/// Half of a text, and the rest by another session that takes up a snapshot of it.
std::size_t generated_by_two_sessions() {
  small_model target(0);
  small_model draft(31);
  specdec::session first(vocabulary, options());
  first.begin(prompt);
  specdec::speculative_generate(first, target, draft,
                                [&](const specdec::outcome&) { return first.delivered() < length / 2; });
  specdec::session second(vocabulary, options());
  second.restore(first.snapshot());
  second.resume();
  specdec::speculative_generate(second, target, draft);
  return second.generated().size();
}

}  // namespace

int main(int count, char**) {
  if (count > 1) {
    small_model target(0);
    small_model draft(31);
    specdec::speculative_generate(target, draft, prompt, {.sampling = {.temperature = -1}});
    return 0;
  }
  std::printf("%zu, %zu, %zu, %zu and %zu tokens\n", generated_with_every_rule(), generated_with_other_drafters(),
              generated_while_drafting_ahead(), generated_in_a_batch(), generated_by_two_sessions());
}
