#ifndef SPECDEC_TESTS_SCENARIOS_HPP
#define SPECDEC_TESTS_SCENARIOS_HPP

/// @file
/// Generations of 200 tokens to interrupt: models, options, drafters, and all that can be told of a run, as text.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ostream>
#include <span>
#include <specdec/specdec.hpp>
#include <specdec/testing/faulty.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "heard.hpp"

namespace scenarios {

using specdec::token_id;

/// More than the 64 tokens that a draft law is cut to.
inline constexpr std::size_t vocab_size = 72;
inline const std::vector<token_id> prompt{1, 2, 3, 4, 5};

/// Cheap logits that depend on the place and the last two tokens.
class pool_model {
 public:
  /// @param noise how far the logits are from those of the model with none
  explicit pool_model(float noise) : pool_(rows * scenarios::vocab_size) {
    std::uint32_t state = 7;
    const auto next = [&state] {
      state = state * 1664525U + 1013904223U;
      return static_cast<float>(state >> 8) / static_cast<float>(1U << 24) - 0.5F;
    };
    for (float& logit : pool_) {
      logit = 9 * next();
      logit += noise * next();
    }
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return scenarios::vocab_size; }
  [[nodiscard]] std::size_t size() const noexcept { return context_.size(); }
  void truncate(std::size_t n) { context_.resize(n); }
  specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t count) {
    logits_.clear();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      context_.push_back(tokens[i]);
      fed_ += 1;
      if (i + count < tokens.size()) continue;
      const auto row = row_behind(context_);
      logits_.insert(logits_.end(), row.begin(), row.end());
    }
    return {logits_.data(), count, scenarios::vocab_size};
  }

  [[nodiscard]] std::span<const float> row_behind(std::span<const token_id> text) const {
    const auto last = static_cast<std::size_t>(text.back());
    const auto before = static_cast<std::size_t>(text[text.size() < 2 ? 0 : text.size() - 2]);
    const std::size_t row = (last * 31 + before * 17 + text.size() * 7) % rows;
    return std::span(pool_).subspan(row * scenarios::vocab_size, scenarios::vocab_size);
  }
  /// How many tokens it was fed in all.
  [[nodiscard]] std::size_t fed() const noexcept { return fed_; }

 private:
  static constexpr std::size_t rows = 128;
  std::vector<float> pool_;
  std::vector<token_id> context_;
  std::vector<float> logits_;
  std::size_t fed_ = 0;
};

// Made once: a run is short against the making of a pool.
inline const pool_model target_model{0};
inline const pool_model draft_model{1.5F};

/// Proposes the draft model's favourite, as a certainty.
struct guesser {
  std::size_t gamma = 4;
  void propose(const specdec::draft_request& request, auto& chance, specdec::draft& answer) {
    text_.assign(request.context.begin(), request.context.end());
    specdec::node_id tip = specdec::root;
    for (std::size_t i = 0; i < std::min(gamma, request.max_depth); ++i) {
      const auto row = draft_model.row_behind(text_);
      const auto best = static_cast<token_id>(std::max_element(row.begin(), row.end()) - row.begin());
      tip = answer.extend(tip, specdec::proposal::point_mass(vocab_size, best), chance);
      text_.push_back(best);
    }
  }

 private:
  std::vector<token_id> text_;
};

/// Throws at the n-th step, and then, if there is a period, after every so many steps more; n = 0 is never.
struct trap {
  std::size_t at = 0;
  std::size_t period = 0;
  std::size_t steps = 0;
  std::size_t sprung = 0;
  [[nodiscard]] bool springs() noexcept {
    if (++steps != at) return false;
    at += period;
    ++sprung;
    return true;
  }
  void step() {
    if (springs()) throw specdec::testing::injected_fault("specdec: trapped");
  }
};

/// Never allows the last token, nor one token in five, which ones depends on the text; every eleventh token is forced.
/// Breaks if a call throws: it is then neither before the call nor behind it.
class touchy_mask {
 public:
  explicit touchy_mask(trap* watched = nullptr) : trap_(watched) {}

  bool allows(token_id token) {
    const unsettled state(*this);
    return ask(token);
  }
  void fill(std::span<std::uint32_t> words) {
    const unsettled state(*this);
    for (std::size_t t = 0; t < vocab_size; ++t) {
      if (ask(static_cast<token_id>(t))) words[t / 32] |= 1U << t % 32;
    }
  }
  void advance(token_id token) {
    if (!ask(token)) throw std::logic_error("the mask was led to a token that it forbids");
    taken_.push_back(token);
    sum_ += static_cast<std::size_t>(token);
    step();
  }
  void rollback(std::size_t n) {
    if (n > taken_.size()) throw std::logic_error("the mask was led back too far");
    for (; n > 0; --n) {
      sum_ -= static_cast<std::size_t>(taken_.back());
      taken_.pop_back();
      if (n == 1) step();
    }
  }

 private:
  /// While it stands, the mask is one token further than it should be.
  struct unsettled {
    explicit unsettled(touchy_mask& m) : mask(m) {
      ++mask.sum_;
      mask.step();
      --mask.sum_;
    }
    touchy_mask& mask;
  };

  [[nodiscard]] bool ask(token_id token) const {
    const auto t = static_cast<std::size_t>(token);
    if (taken_.size() % 11 == 10) return t == sum_ % (vocab_size - 1);
    return t < vocab_size - 1 && (t + sum_) % 5 != 0;
  }
  void step() {
    if (trap_ != nullptr) trap_->step();
  }

  trap* trap_;
  std::vector<token_id> taken_;
  std::size_t sum_ = 0;
};

enum class setting { plain, greedy, shaped, bounded };
inline constexpr std::array settings{setting::plain, setting::greedy, setting::shaped, setting::bounded};

/// Where the hooks of the user's are to throw.
struct traps {
  trap detokenize;
  trap mask;
};

/// The options of a setting; `traps`, if given, must outlive them.
inline specdec::generate_options options_of(setting chosen, traps* hooks = nullptr) {
  specdec::generate_options options{.max_tokens = 200, .seed = 11, .stream = 3};
  switch (chosen) {
    case setting::plain:
      break;
    case setting::greedy:
      options.sampling.temperature = 0;
      options.log_probabilities = specdec::log_probability_of::model;
      options.top_log_probabilities = 2;
      break;
    case setting::shaped:
      options.sampling = {.top_k = 40,
                          .top_p = 0.9,
                          .repetition_penalty = 1.1,
                          .frequency_penalty = 0.1,
                          .presence_penalty = 0.1,
                          .penalty_window = 30};
      options.end_tokens = {7};
      options.min_tokens = 200;
      break;
    case setting::bounded:
      options.sampling.temperature = 0.8;
      options.top_log_probabilities = 3;
      options.mask = touchy_mask(hooks == nullptr ? nullptr : &hooks->mask);
      // Each ends with what never comes, so it only holds back.
      for (token_id t = 0; t < 20; ++t) options.stop_sequences.push_back({t, static_cast<token_id>(vocab_size) - 1});
      options.stop_texts = {"abab!", "babbab!", "bb!", "ca!"};
      options.detokenize = [hooks](token_id token, std::string& text) {
        constexpr std::array<const char*, 7> words{"ab", "b", "", "a", "ba", "c", "abba"};
        text += words[static_cast<std::size_t>(token) % words.size()];
        if (hooks != nullptr) hooks->detokenize.step();
      };
      break;
  }
  return options;
}

enum class drafting { dense, top_64, point_mass };
inline constexpr std::array draftings{drafting::dense, drafting::top_64, drafting::point_mass};

/// A target and a drafter, each perhaps with a fault.
struct models {
  models(setting chosen, drafting kind, const specdec::testing::fault& of_target = {},
         const specdec::testing::fault& of_draft = {})
      : target(target_model, of_target), draft(draft_model, of_draft) {
    if (kind == drafting::point_mass) {
      drafter = guesser{};
      return;
    }
    const std::size_t top = kind == drafting::dense ? 0 : 64;
    if (chosen == setting::shaped) {
      // Filters take their time, and the draft's law is its own business.
      drafter = specdec::model_drafter(draft, specdec::constant{4},
                                       {.sampling = specdec::sampling_params{.temperature = 0.8}, .top = top});
    } else {
      drafter = specdec::model_drafter(draft, specdec::constant{4}, {.top = top});
    }
  }
  models(const models&) = delete;
  models& operator=(const models&) = delete;

  /// Makes a model that has failed fail again, so many calls from now.
  static void rearm(specdec::testing::faulty_model<pool_model>& model, const specdec::testing::fault& planned) {
    if (model.faults() > 0) model.arm(planned);
  }

  specdec::testing::faulty_model<pool_model> target, draft;
  specdec::any_drafter drafter;
};

using ::heard;
using ::state_of;

/// A generation that is over.
struct finished {
  heard delivered;
  std::string state;
  friend bool operator==(const finished&, const finished&) = default;
  friend std::ostream& operator<<(std::ostream& out, const finished& f) {
    return out << f.state << "\n" << f.delivered.tokens << f.delivered.text;
  }
};

/// The session of a setting, behind the prompt.
inline specdec::session<> begun(setting chosen, traps* hooks = nullptr) {
  specdec::session text(vocab_size, options_of(chosen, hooks));
  text.begin(prompt);
  return text;
}

/// Runs a session until it ends by itself, however often it is interrupted; calls `between` behind every interruption.
/// Returns how often it was interrupted.
template <class Sink, class StopRequest = specdec::never_stop>
std::size_t run_to_the_end(specdec::session<>& text, models& with, Sink&& sink, const StopRequest& request = {},
                           const std::function<void()>& between = {}) {
  for (std::size_t interruptions = 0; interruptions < 1000; ++interruptions) {
    bool threw = false;
    try {
      speculative_generate(text, with.target, with.drafter, sink, request);
    } catch (const std::exception&) {
      threw = true;
    }
    text.resume();
    if (!threw && !text.running()) return interruptions;
    if (between) between();
  }
  throw std::runtime_error("the session does not come to an end");
}

/// The run that nothing interrupts.
inline finished uninterrupted(setting chosen, drafting kind) {
  auto text = begun(chosen);
  models with(chosen, kind);
  heard all;
  run_to_the_end(text, with, std::ref(all));
  return {all, state_of(text)};
}

}  // namespace scenarios

#endif  // SPECDEC_TESTS_SCENARIOS_HPP
