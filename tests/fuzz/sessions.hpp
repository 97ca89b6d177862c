#ifndef SPECDEC_TESTS_FUZZ_SESSIONS_HPP
#define SPECDEC_TESTS_FUZZ_SESSIONS_HPP

/// @file
/// Sessions of a small vocabulary, led through rounds, turns and stops as an input says, as several targets do.

#include <cmath>
#include <limits>
#include <optional>
#include <specdec/specdec.hpp>
#include <stdexcept>

#include "fuzz.hpp"

namespace fuzz {

using specdec::node_id;
using specdec::token_id;

constexpr std::size_t small_vocabulary = 12;

/// The bytes of a token: letters that stops can run into, and nothing for some.
inline void detokenize(token_id token, std::string& text) {
  constexpr const char* pieces[small_vocabulary] = {"",  "a",   "b", "ab",   "ba",   "aa",
                                                    "c", "abc", "",  "\xc3", "\xa9", "d"};
  text += pieces[token];
}

[[nodiscard]] inline std::string text_of(std::span<const token_id> tokens) {
  std::string text;
  for (const token_id token : tokens) detokenize(token, text);
  return text;
}

[[nodiscard]] inline std::vector<token_id> tokens_of(input& in, std::size_t least, std::size_t most) {
  std::vector<token_id> tokens(in.between(least, most));
  for (token_id& token : tokens) token = static_cast<token_id>(in.below(small_vocabulary));
  return tokens;
}

/// What a target returns: rows of logits, one of which may be of another width than the others.
class answer {
 public:
  answer(std::span<const float> logits, std::size_t rows) : logits_(logits), rows_(rows) {}

  /// The same with row `node` so wide.
  [[nodiscard]] answer misshapen(node_id node, std::size_t width) const {
    answer other = *this;
    other.misshapen_ = node;
    other.width_ = width;
    return other;
  }

  [[nodiscard]] std::size_t size() const noexcept { return rows_; }
  [[nodiscard]] specdec::logits_row<float> row(std::size_t index) const {
    require(index * small_vocabulary < logits_.size(), "no row is asked for that there is not");
    return {logits_.data() + index * small_vocabulary, index == misshapen_ ? width_ : small_vocabulary};
  }

 private:
  std::span<const float> logits_;
  std::size_t rows_;
  std::size_t misshapen_ = ~std::size_t{0}, width_ = 0;
};

/// A target's rows behind every node: a pure function of the text before.
class rows {
 public:
  rows(std::span<const token_id> text, const specdec::draft& drafted,
       std::optional<std::size_t> at_fault = std::nullopt) {
    // No more than there are, so that a sanitizer sees who reads a wider row.
    logits_.reserve((drafted.size() + 1) * small_vocabulary);
    for (node_id node = 0; node <= drafted.size(); ++node) {
      std::uint64_t hash = text.size() + drafted.depth(node);
      hash = mixed(hash * 31 + static_cast<std::uint64_t>(node == 0 ? text.back() : drafted.token(node)));
      for (std::size_t t = 0; t < small_vocabulary; ++t) {
        logits_.push_back(static_cast<float>(mixed(hash + t) % 64) / 8);
      }
    }
    if (at_fault && *at_fault < logits_.size()) logits_[*at_fault] = std::numeric_limits<float>::quiet_NaN();
  }

  [[nodiscard]] std::size_t size() const noexcept { return logits_.size() / small_vocabulary; }
  [[nodiscard]] answer view() const { return {logits_, size()}; }
  /// An answer that says it has so many.
  [[nodiscard]] answer view(std::size_t count) const { return {logits_, count}; }

 private:
  std::vector<float> logits_;
};

using rule = specdec::any_lossy_verifier<answer>;
using text_session = specdec::session<rule>;

[[nodiscard]] inline rule any_rule(input& in) {
  switch (in.below(11)) {
    case 1:
      return specdec::block_verification();
    case 2:
      return specdec::coupled();
    case 3:
      return specdec::greedy();
    case 4:
      return specdec::naive_sampling();
    case 5:
      return specdec::recursive_rejection();
    case 6:
      return specdec::traversal();
    case 7:
      return specdec::k_seq();
    case 8:
      return specdec::typical_acceptance();
    case 9:
      return specdec::big_little(1.0);
    case 10:
      return specdec::lenient(0.5);
    default:
      return specdec::rejection();
  }
}

/// Options that can be used.
[[nodiscard]] inline specdec::generate_options usable_options(input& in) {
  specdec::generate_options options{.max_tokens = in.below(24)};
  constexpr double temperatures[] = {1, 0, 0.7, 3};
  options.sampling.temperature = temperatures[in.below(4)];
  options.sampling.top_k = in.below(8) > 5 ? in.below(small_vocabulary) : 0;
  if (in.one_in(4)) options.sampling.repetition_penalty = 1.3;
  if (in.one_in(4)) options.end_tokens = tokens_of(in, 1, 2);
  options.min_tokens = in.one_in(4) ? in.below(8) : 0;
  options.seed = in.bits<std::uint8_t>();
  options.detokenize = detokenize;
  for (std::size_t i = in.below(8) > 2 ? in.below(3) : 0; i > 0; --i) {
    options.stop_sequences.push_back(tokens_of(in, 1, 3));
  }
  constexpr const char* texts[] = {"ab", "aba", "bb", "\xc3\xa9", "cd", "abcabc"};
  for (std::size_t i = in.below(8) > 2 ? in.below(3) : 0; i > 0; --i) options.stop_texts.push_back(texts[in.below(6)]);
  options.top_log_probabilities = in.below(3);
  if (in.one_in(4)) options.log_probabilities = specdec::log_probability_of::model;
  return options;
}

/// What must hold of a session between any two calls.
inline void check(const text_session& session) {
  const auto text = session.tokens();
  require(session.prompt_size() <= text.size() && session.prompt_size() > 0, "the prompt is part of the text");
  require(session.delivered() + session.waiting().size() == session.generated().size(),
          "what was generated was delivered, or waits");
  require(session.generated().size() <= session.options().max_tokens || !session.running(), "a running text has room");
  require(session.status() != specdec::session_status::idle, "there is a text");
}

/// A session, and what can be done with it. Misuse is refused as documented and changes nothing.
class led_session {
 public:
  led_session(input& in, const specdec::generate_options& options, rule with)
      : in_(in), session_(small_vocabulary, options, with) {}

  /// Begins a text, acts on it, and runs to its end. One act in four or so is the caller's.
  template <class Act>
  void explore(Act&& other_act) {
    std::vector<token_id> prompt = tokens_of(in_, 0, 4);
    if (in_.one_in(16)) prompt.push_back(in_.bits<token_id>());
    bool sound = !prompt.empty();
    for (const token_id token : prompt)
      sound = sound && token >= 0 && static_cast<std::size_t>(token) < small_vocabulary;
    require(refused<std::invalid_argument>([&] { session_.begin(prompt); }) == !sound,
            "bad prompts are refused, no others");
    if (!sound) {
      require(session_.status() == specdec::session_status::idle, "a refused prompt changes nothing");
      return;
    }
    for (std::size_t acts = 0; acts < 24 && !in_.empty(); ++acts) {
      act(other_act);
      check(session_);
    }
    finish();
  }

  [[nodiscard]] text_session& session() noexcept { return session_; }
  [[nodiscard]] const specdec::draft& drafted() const noexcept { return drafted_; }

  /// Drafts, and plans with what was drafted; whether that was taken. Precondition: session().running().
  [[nodiscard]] bool plan() {
    const specdec::draft_request request = session_.request();
    draft(request);
    bool fits = drafted_.max_depth() <= request.max_depth && drafted_.size() <= request.max_nodes;
    for (node_id node = 1; node <= drafted_.size(); ++node) {
      fits = fits && drafted_.law_of(node).vocab_size() == small_vocabulary;
    }
    specdec::decode_plan plan;
    const std::size_t held = in_.below(session_.tokens().size() + 2);
    require(refused<std::invalid_argument>([&] { plan = session_.plan(drafted_, held); }) == !fits,
            "a draft that was not asked for is refused, no other is");
    if (!fits) return false;
    require(plan.rows == drafted_.size() + 1 && plan.held < session_.tokens().size(), "a plan feeds a token at least");
    require(plan.held + plan.tokens.size() == session_.tokens().size() + drafted_.size(), "and all that is lacking");
    require(plan.tree == !drafted_.is_chain(), "it says whether the draft branches");
    return true;
  }

  void commit(const specdec::verdict& v) {
    const std::vector<token_id> before(session_.tokens().begin(), session_.tokens().end());
    const std::size_t delivered = session_.delivered();
    const specdec::outcome out = session_.commit(v);
    require(session_.tokens().size() == before.size() + out.committed, "the text grows by what is committed");
    require(std::equal(before.begin(), before.end(), session_.tokens().begin()), "what is committed is final");
    require((v.fault != specdec::row_fault::none) == (session_.status() == specdec::session_status::failed),
            "a fault, and nothing else, is a failure");
    require(out.status == session_.status() && out.accepted == out.path.size(), "an outcome says what became of it");
    require(session_.delivered() == delivered + out.tokens.size(), "what is handed on is delivered");
    for (std::size_t i = 0; i < out.tokens.size(); ++i) {
      require(out.tokens[i].id == session_.generated()[delivered + i], "in order");
      require(restored_ || !(out.tokens[i].log_probability > 1e-6), "a log-probability is not positive");
    }
    const std::string whole = text_of(session_.generated().subspan(delivered));
    require(whole.starts_with(out.text), "the text handed on is that of the tokens");
  }

  /// From now on the log-probabilities of what waits may be any numbers.
  void was_restored() noexcept { restored_ = true; }

 private:
  template <class Act>
  void act(Act& other_act) {
    switch (in_.below(16)) {
      case 0:
        session_.stop();
        break;
      case 1:
        session_.resume();
        break;
      case 2:
        go_on();
        break;
      case 3:
        go_back();
        break;
      case 4:
        session_ = session_.fork(static_cast<std::uint32_t>(in_.below(4)));
        break;
      case 5:
        session_.limit(in_.one_in(2) ? session_.tokens().size() + in_.below(6) : ~std::size_t{0});
        break;
      case 6:
      case 7:
      case 8:
      case 9:
        other_act();
        break;
      default:
        if (session_.running()) round();
    }
  }

  void go_on() {
    std::vector<token_id> further = tokens_of(in_, 0, 3);
    if (in_.one_in(8)) further.push_back(in_.bits<token_id>());
    const std::vector<std::byte> before = session_.snapshot();
    try {
      session_.append(further);
    } catch (const std::logic_error&) {
      // Tokens outside the vocabulary, or more than the limit: both are logic errors.
      require(session_.snapshot() == before, "a refused turn changes nothing");
    }
  }

  void go_back() {
    const std::size_t size = in_.below(session_.tokens().size() + 2);
    const bool sound = size > 0 && size <= session_.tokens().size();
    require(refused<std::invalid_argument>([&] { session_.rewind(size); }) == !sound,
            "there is nothing behind the text");
  }

  void draft(const specdec::draft_request& request) {
    drafted_.begin(request);
    // Tokens and depths that were not asked for, now and then.
    const std::size_t over = in_.one_in(32) ? 2 : small_vocabulary;
    for (std::size_t steps = in_.below(6); steps > 0; --steps) {
      const auto parent = static_cast<node_id>(in_.below(8) < 5 ? drafted_.size() : in_.below(drafted_.size() + 1));
      const bool bold = in_.one_in(32);
      if (!bold && (drafted_.depth(parent) >= request.max_depth || drafted_.size() >= request.max_nodes)) continue;
      if (in_.below(2) == 0) {
        const auto token = static_cast<token_id>(in_.below(over));
        drafted_.extend(parent, specdec::proposal::point_mass(over, token), session_.chance());
      } else {
        float weights[small_vocabulary];
        for (float& weight : weights) weight = static_cast<float>(1 + in_.below(8));
        drafted_.extend(parent, specdec::proposal::dense(std::span(weights).first(over)), session_.chance());
      }
    }
  }

  void round() {
    if (!plan()) return;
    specdec::verdict v;
    if (in_.one_in(8)) {
      if (!adopt(v)) return;
    } else {
      const std::size_t logits = (drafted_.size() + 1) * small_vocabulary;
      const rows scored(session_.tokens(), drafted_, in_.one_in(16) ? std::optional(in_.below(logits)) : std::nullopt);
      v = session_.verify(scored.view());
      if (in_.one_in(8)) return;  // the round is abandoned
    }
    commit(v);
  }

  /// A verdict from elsewhere, with any nodes and tokens.
  [[nodiscard]] bool adopt(specdec::verdict& v) {
    v.kept = static_cast<node_id>(in_.below(drafted_.size() + 2));
    v.next = in_.one_in(8) ? in_.bits<token_id>() : static_cast<token_id>(in_.below(small_vocabulary));
    if (in_.one_in(8)) {
      v.fault = specdec::row_fault::nan;
      v.faulty_row = static_cast<node_id>(in_.below(drafted_.size() + 2));
    }
    const bool goes_on = v.kept <= drafted_.size() && drafted_.first_child(v.kept) != specdec::no_node;
    v.rejected = in_.one_in(2);
    v.fell_back = in_.one_in(4);
    const bool failed = v.fault != specdec::row_fault::none;
    const bool sound = failed ? v.faulty_row <= drafted_.size()
                              : v.kept <= drafted_.size() && v.next >= 0 &&
                                    static_cast<std::size_t>(v.next) < small_vocabulary && (goes_on || !v.rejected) &&
                                    (v.rejected || !v.fell_back);
    require(refused<std::invalid_argument>([&] { v = session_.adopt(v); }) == !sound,
            "a verdict that no rule can reach on this draft is refused, no other is");
    return sound;
  }

  /// Runs to the end without a draft.
  void finish() {
    session_.limit(~std::size_t{0});
    session_.resume();
    const std::size_t most = session_.options().max_tokens;
    for (std::size_t rounds = 0; session_.running(); ++rounds) {
      require(rounds <= most, "a text ends");
      drafted_.begin(session_.request());
      static_cast<void>(session_.plan(drafted_, 0));
      const rows scored(session_.tokens(), drafted_);
      const specdec::verdict v = session_.verify(scored.view());
      require(v.fault == specdec::row_fault::none || v.fault == specdec::row_fault::nothing_allowed, "rows are sound");
      static_cast<void>(session_.commit(v));
      check(session_);
    }
  }

  input& in_;
  text_session session_;
  specdec::draft drafted_;
  bool restored_ = false;
};

}  // namespace fuzz

#endif  // SPECDEC_TESTS_FUZZ_SESSIONS_HPP
