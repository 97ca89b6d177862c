// Compiles as it is. Each REFUSED_ macro makes one mistake a user may make. Types have a number, so that every place
// that meets a mistake must speak for itself.

#include <cstddef>
#include <cstdint>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/conformance.hpp>
#include <string>
#include <utility>
#include <vector>

using specdec::token_id;

template <int Place>
struct rows {
#ifndef REFUSED_ROWS_SIZE
  std::size_t size() const;
#endif
#ifdef REFUSED_ROW
  specdec::logits_row<int> row(std::size_t i) const;
#else
  specdec::logits_row<float> row(std::size_t i) const;
#endif
};

template <int Place>
struct model {
#ifdef REFUSED_VOCAB_SIZE_CONST
  std::size_t vocab_size();
#elif !defined(REFUSED_VOCAB_SIZE)
  std::size_t vocab_size() const;
#endif

#ifdef REFUSED_SIZE_CONST
  std::size_t size();
#elif !defined(REFUSED_SIZE)
  std::size_t size() const;
#endif

#if defined(REFUSED_DECODE_ARGUMENTS)
  rows<Place> decode(const std::vector<token_id>& tokens, std::size_t count);
#elif defined(REFUSED_LOGITS)
  std::vector<float> decode(std::span<const token_id> tokens, std::size_t count);
#elif !defined(REFUSED_DECODE)
  rows<Place> decode(std::span<const token_id> tokens, std::size_t count);
#endif

#ifndef REFUSED_TRUNCATE
  void truncate(std::size_t n);
#endif
};

/// No mistake reaches this one.
struct right_model {
  std::size_t vocab_size() const;
  std::size_t size() const;
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t count);
  void truncate(std::size_t n);
};

template <int Place>
struct drafter {
#ifdef REFUSED_DRAFT_ARGUMENTS
  void propose(std::span<const token_id> context, std::vector<token_id>& draft);
#elif !defined(REFUSED_DRAFT)
  void propose(const specdec::draft_request& request, specdec::philox& chance, specdec::draft& draft);
#endif
};

template <int Place>
struct sink {
#if defined(REFUSED_SINK_RESULT)
  int operator()(const specdec::outcome& out) const;
#elif defined(REFUSED_SINK_ARGUMENTS)
  bool operator()(token_id token) const;
#else
  bool operator()(const specdec::outcome& out) const;
#endif
};

struct rule {
#ifndef REFUSED_RULE_LOSSLESS
#ifdef REFUSED_LOSSY_RULE
  static constexpr bool lossless = false;
#else
  static constexpr bool lossless = true;
#endif
#endif

#if defined(REFUSED_RULE_RESULT)
  token_id operator()(const specdec::draft& drafted, const auto& rows, specdec::law& target, auto& chance) const;
#elif defined(REFUSED_RULE_CONST)
  specdec::verdict operator()(const specdec::draft& drafted, const auto& rows, specdec::law& target, auto& chance);
#else
  specdec::verdict operator()(const specdec::draft& drafted, const auto& rows, specdec::law& target,
                              auto& chance) const;
#endif
};

struct policy {
#ifndef REFUSED_POLICY_CLOCK
  static constexpr bool reads_clock = false;
#endif
#ifndef REFUSED_POLICY_DEPTH
  std::size_t depth(const specdec::draft_request& request) const;
#endif
};

struct single_drafter : drafter<-1> {
  single_drafter();
  single_drafter(single_drafter&&);
};

void from_a_prompt(model<0>& target, model<1>& draft_model, drafter<0>& draft, const std::vector<token_id>& prompt,
                   right_model& right) {
  (void)specdec::speculative_generate(target, right, prompt);
  (void)specdec::speculative_generate(right, draft_model, prompt);
  (void)specdec::speculative_generate(right, draft, prompt, {}, sink<0>{});
}

void without_a_draft(model<2>& target, const std::vector<token_id>& prompt, right_model& right) {
  (void)specdec::autoregressive_generate(target, prompt, {});
  (void)specdec::autoregressive_generate(right, prompt, {}, sink<1>{});
}

void with_a_session(specdec::session<>& text, model<3>& target, model<4>& draft_model, drafter<1>& draft,
                    right_model& right) {
  (void)specdec::speculative_generate(text, target, right);
  (void)specdec::speculative_generate(text, right, draft_model);
  (void)specdec::speculative_generate(text, right, draft, sink<2>{});
}

struct request_to_stop {
#ifndef REFUSED_STOP_REQUEST
  bool stop_requested() const;
#else
  bool stop() const;
#endif
};

void asked_to_stop(specdec::session<>& text, right_model& right, const std::vector<token_id>& prompt) {
  (void)specdec::speculative_generate(text, right, right, specdec::no_sink{}, request_to_stop{});
  (void)specdec::speculative_generate(right, right, prompt, {}, specdec::no_sink{}, request_to_stop{});
}

void lifted(specdec::session<>& text, model<6>& draft_model, right_model& right) {
  specdec::model_drafter drafter(draft_model);
  (void)specdec::speculative_generate(text, right, drafter);
  specdec::model_drafter with_policy(right, policy{});
  (void)specdec::speculative_generate(text, right, with_policy);
}

void in_a_cascade(right_model& right) {
#ifndef REFUSED_CASCADE_POLICY
  specdec::cascade_drafter drafter(right, specdec::prompt_lookup(), specdec::constant{});
#else
  specdec::cascade_drafter drafter(right, specdec::prompt_lookup(), specdec::adaedl{});
#endif
  (void)drafter;
}

struct model_in_layers {
  std::size_t vocab_size() const;
  std::size_t size() const;
#ifndef REFUSED_LAYER_COUNT
  std::size_t layer_count() const;
#endif
#ifndef REFUSED_TOKENS
  std::span<const token_id> tokens() const;
#endif
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t count);
#if defined(REFUSED_SKIPPING_RESULT)
  rows<8> decode(std::span<const token_id> tokens, std::size_t count, const specdec::layer_skip& skipped);
#elif !defined(REFUSED_SKIPPING)
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t count,
                                     const specdec::layer_skip& skipped);
#endif
  void truncate(std::size_t n);
};

void drafts_for_itself(specdec::session<>& text, model_in_layers& target) {
  specdec::layer_skip_drafter drafter(target, specdec::layer_skip::early_exit(8, 4));
  (void)specdec::speculative_generate(text, target, drafter);
}

struct tree_target {
  std::size_t vocab_size() const;
  std::size_t size() const;
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t count);
#ifndef REFUSED_TREE_TARGET
  specdec::logits_view<float> decode_tree(std::span<const token_id> tokens, std::span<const specdec::node_id> parents,
                                          std::size_t count);
  void keep(std::span<const specdec::node_id> path);
#endif
  void truncate(std::size_t n);
};

struct twins {
  static constexpr bool drafts_trees = true;
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    const auto again = specdec::proposal::point_mass(8, request.context.back());
    answer.extend_independently(specdec::root, 2, again, chance);
  }
};

void drafts_trees(specdec::session<>& text, tree_target& target) {
  twins drafter;
  (void)specdec::speculative_generate(text, target, drafter);
  specdec::first_of sometimes(specdec::prompt_lookup{}, twins{});
  (void)specdec::speculative_generate(text, target, sometimes);
}

struct batch_target {
  std::size_t vocab_size() const;
  std::size_t sequence_count() const;
  std::size_t size(std::size_t sequence) const;
  specdec::logits_view<float> decode(std::span<const specdec::sequence_feed> feeds);
  void truncate(std::size_t sequence, std::size_t n);
};

struct batch_sink {
#if defined(REFUSED_BATCH_SINK_RESULT)
  std::vector<bool>::reference operator()(specdec::session<>& text, const specdec::outcome& out) const;
#elif defined(REFUSED_BATCH_SINK_ARGUMENTS)
  bool operator()(const specdec::outcome& out) const;
#else
  bool operator()(specdec::session<>& text, const specdec::outcome& out) const;
#endif
};

struct batch_policy {
  static constexpr bool reads_clock = false;
  std::size_t depth(const specdec::draft_request& request) const;
  batch_policy();
#ifdef REFUSED_BATCH_POLICY_COPY
  batch_policy(batch_policy&&);
#endif
};

void in_a_batch(batch_target& target, batch_target& draft) {
  specdec::batch_model_drafter drafter(draft, batch_policy());
  specdec::session_batch batch(target, drafter);
  batch.round(batch_sink{});
}

void with_two_vocabularies(right_model& draft, const specdec::vocabulary_map& map) {
#ifndef REFUSED_TEMPORARY_MAP
  (void)specdec::translated<right_model&>(draft, map);
#else
  (void)specdec::translated<right_model&>(draft, specdec::vocabulary_map(map));
#endif
}

void checked(model<7>& target) { (void)specdec::testing::check_target_model(target); }

void with_a_rule(specdec::session<rule>& text, right_model& right) {
  specdec::no_draft nothing;
  (void)specdec::speculative_generate(text, right, nothing);
}

struct mask {
#ifndef REFUSED_MASK_ALLOWS
  bool allows(token_id token);
#endif
#ifndef REFUSED_MASK_FILL
  void fill(std::span<std::uint32_t> words);
#endif
#ifndef REFUSED_MASK_ADVANCE
  void advance(token_id token);
#endif
#ifndef REFUSED_MASK_ROLLBACK
  void rollback(std::size_t n);
#endif
#ifdef REFUSED_MASK_COPY
  mask(mask&&) = default;
#endif
};

void under_a_mask(right_model& target, mask& grammar, const std::vector<token_id>& prompt) {
  (void)specdec::autoregressive_generate(target, prompt, {.mask = std::move(grammar)});
}

void with_text(right_model& target, const std::vector<token_id>& prompt) {
#ifndef REFUSED_DETOKENIZE
  const auto detokenize = [](token_id, std::string& text) { text += '.'; };
#else
  const auto detokenize = [](token_id) { return std::string("."); };
#endif
  (void)specdec::autoregressive_generate(target, prompt, {.detokenize = detokenize});
}

void erased(drafter<3> draft, single_drafter single) {
  specdec::any_drafter drafter(draft);
  specdec::any_lossy_verifier<> lossy(rule{});
#if !defined(REFUSED_ANY_DRAFTER_COPY)
  specdec::any_drafter owner(std::move(single));
#else
  specdec::any_drafter owner(single);
#endif
#if defined(REFUSED_LOSSY_RULE)
  specdec::any_verifier<> lossless(rule{});
#endif
}
