// A user's program compiled without exceptions and without run-time types: it generates with every rule, and then asks
// for what the library refuses.
//
//   without_exceptions          prints how many tokens it made
//   without_exceptions refused  ends with the library's message

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <specdec/adapters/background_thread.hpp>
#include <specdec/specdec.hpp>
#include <vector>

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "expected -fno-exceptions and -fno-rtti"
#endif

namespace {

constexpr std::size_t vocabulary = 50;

/// Scores chains and trees; a row depends on the last token alone.
class small_model {
 public:
  explicit small_model(std::uint32_t noise) : noise_(noise) {}

  [[nodiscard]] std::size_t vocab_size() const { return vocabulary; }
  [[nodiscard]] std::size_t size() const { return context_.size(); }
  void truncate(std::size_t n) {
    nodes_.clear();
    context_.resize(n);
  }
  specdec::logits_view<float> decode(std::span<const specdec::token_id> tokens, std::size_t rows) {
    context_.insert(context_.end(), tokens.begin(), tokens.end());
    return rows_behind(tokens.last(rows));
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

template <class Rule, class Drafter>
std::size_t generated(const Rule& rule, Drafter drafter) {
  small_model target(0);
  specdec::session text(vocabulary, {.max_tokens = 40, .sampling = {.temperature = 0.8, .top_p = 0.95}}, rule);
  text.begin(std::vector<specdec::token_id>{1, 2, 3});
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

}  // namespace

int main(int count, char**) {
  if (count > 1) {
    small_model target(0);
    small_model draft(31);
    specdec::speculative_generate(target, draft, std::vector<specdec::token_id>{1}, {.sampling = {.temperature = -1}});
    return 0;
  }
  small_model target(0);
  small_model draft(31);
  specdec::background_thread helper;
  specdec::session text(vocabulary, {.max_tokens = 40});
  text.begin(std::vector<specdec::token_id>{1, 2, 3});
  specdec::model_drafter drafter(draft, specdec::constant{4});
  specdec::draft_ahead ahead(drafter);
  specdec::overlapped_generate(text, target, ahead, helper);
  std::printf("%zu and %zu tokens\n", text.generated().size(), generated(specdec::rejection{}) + generated(specdec::block_verification{}) +
                                  generated(specdec::naive_sampling{}) + generated(specdec::recursive_rejection{}) +
                                  generated(specdec::k_seq{}) + generated(specdec::traversal{}) +
                                  generated(specdec::coupled{}) + generated(specdec::lenient(0.5)) +
                                  generated(specdec::big_little()) + generated(specdec::typical_acceptance()));
}
