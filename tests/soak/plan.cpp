#include "plan.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace soak {
namespace {

/// Forbids one token in seven, which ones depends on the text, and leaves no choice at every ninth place.
class fickle_mask {
 public:
  explicit fickle_mask(std::size_t vocab_size) : vocab_size_(vocab_size) {}

  [[nodiscard]] bool allows(token_id token) const {
    const auto t = static_cast<std::size_t>(token);
    if (taken_.size() % 9 == 8) return t == first_forced + sum_ % 100;
    return (t * 2654435761U + sum_) % 7 != 0;
  }
  void fill(std::span<std::uint32_t> words) const {
    for (std::size_t t = 0; t < vocab_size_; ++t) {
      if (allows(static_cast<token_id>(t))) words[t / 32] |= 1U << t % 32;
    }
  }
  void advance(token_id token) {
    taken_.push_back(token);
    sum_ += static_cast<std::size_t>(token);
  }
  void rollback(std::size_t n) {
    for (; n > 0; --n) {
      sum_ -= static_cast<std::size_t>(taken_.back());
      taken_.pop_back();
    }
  }

  static constexpr std::size_t first_forced = 3000;

 private:
  std::size_t vocab_size_;
  tokens taken_;
  std::size_t sum_ = 0;
};

specdec::sampling_params draw_sampling(dice& chance) {
  specdec::sampling_params drawn;
  drawn.temperature = chance.one_of({0.0, 0.0, 0.6, 0.8, 1.0, 1.3});
  if (chance.once_in(3)) drawn.top_k = chance.one_of<std::size_t>({1, 5, 40, 200});
  if (chance.once_in(3)) drawn.top_p = chance.one_of({0.5, 0.9, 0.99});
  if (chance.once_in(4)) drawn.min_p = chance.one_of({0.02, 0.1});
  if (chance.once_in(3)) drawn.order = specdec::filter_order::llama_cpp;
  if (chance.once_in(3)) {
    drawn.repetition_penalty = chance.one_of({0.9, 1.1, 1.5});
    drawn.frequency_penalty = chance.one_of({0.0, 0.2});
    drawn.presence_penalty = chance.one_of({0.0, 0.3});
    drawn.penalty_window = chance.one_of<std::size_t>({1, 16, 64, 1000});
    drawn.penalize_prompt = chance.once_in(2);
  }
  if (chance.once_in(5)) {
    for (std::size_t i = chance.between(1, 3); i > 0; --i) {
      drawn.bias.push_back({static_cast<token_id>(chance.some(fickle_mask::first_forced)),
                            chance.one_of({-2.0, 1.0, 6.0, -std::numeric_limits<double>::infinity()})});
    }
  }
  return drawn;
}

text_plan draw_text(dice& chance, const workplace& models) {
  const toy::tokenizer& tokenizer = models.pair.target.tokenizer;
  const std::size_t vocab_size = models.vocab_size();
  text_plan drawn;
  drawn.prompt = models.prompts[chance.some(models.prompts.size())];
  drawn.prompt.resize(std::min(drawn.prompt.size(), chance.between(1, 40)));
  if (chance.once_in(6)) {
    for (token_id& token : drawn.prompt) token = static_cast<token_id>(chance.some(vocab_size));
  }
  specdec::generate_options& options = drawn.options;
  options.max_tokens = chance.one_of<std::size_t>({1, 5, 20, 20, 40, 40, 60});
  options.sampling = draw_sampling(chance);
  options.seed = chance.some(1'000'000);
  options.stream = static_cast<std::uint32_t>(chance.some(1000));
  if (chance.once_in(2) && tokenizer.eos()) options.end_tokens = {*tokenizer.eos()};
  if (chance.once_in(4)) {
    for (const token_id token : tokenizer.encode(chance.one_of({".", ",", " the", " and"}), false)) {
      options.end_tokens.push_back(token);
    }
  }
  if (chance.once_in(3)) options.min_tokens = chance.some(options.max_tokens + 1);
  if (chance.once_in(4)) options.mask = fickle_mask(vocab_size);
  if (chance.once_in(3)) {
    for (std::size_t i = chance.between(1, 3); i > 0; --i) {
      options.stop_sequences.push_back(
          tokenizer.encode(chance.one_of({" of the", ", and", " in", " to be", ". The", " he was"}), false));
    }
  }
  if (chance.once_in(2)) {
    options.detokenize = [tokenizer](token_id token, std::string& text) { tokenizer.decode(token, text); };
    if (chance.once_in(2)) {
      for (std::size_t i = chance.between(1, 3); i > 0; --i) {
        options.stop_texts.emplace_back(chance.one_of({"e a", "n th", ". ", "ing ", "xyz", " s", "he had"}));
      }
    }
  }
  options.log_probabilities = chance.one_of({specdec::log_probability_of::law, specdec::log_probability_of::law,
                                             specdec::log_probability_of::model, specdec::log_probability_of::nothing});
  if (options.log_probabilities != specdec::log_probability_of::nothing) {
    options.top_log_probabilities = chance.one_of<std::size_t>({0, 0, 1, 4});
  }
  for (std::size_t i = chance.one_of<std::size_t>({0, 0, 1, 2}); i > 0; --i) {
    turn next{.rewinds = chance.once_in(2)};
    for (std::size_t n = chance.some(9); n > 0; --n) {
      next.further.push_back(static_cast<token_id>(chance.some(vocab_size)));
    }
    drawn.turns.push_back(std::move(next));
  }
  return drawn;
}

bool draws_noise(const text_plan& text) { return text.options.sampling.temperature > 0; }

}  // namespace

bool plan::is_plain(const text_plan& text) const {
  if (rule == judging::coupled || rule == judging::greedy) return true;
  if (by->name == "coupled" && rule == judging::as_published) return true;
  const bool is_lossless = by->lossless || rule != judging::as_published;
  return is_lossless && !draws_noise(text);
}

any_rule rule_of(const plan& how, const any_rule& published) {
  switch (how.rule) {
    case judging::as_published:
      return published;
    case judging::rejection:
      return specdec::rejection{};
    case judging::coupled:
      return specdec::coupled{};
    case judging::greedy:
      return specdec::greedy{};
    case judging::another:
      break;
  }
  return how.by->branches ? any_rule(specdec::traversal{}) : any_rule(specdec::block_verification{});
}

plan draw_plan(dice& chance, const workplace& models, std::span<const method> methods) {
  plan drawn;
  drawn.by = &methods[chance.some(methods.size())];
  drawn.runs = chance.one_of({driver::generate, driver::generate, driver::by_hand, driver::overlapped,
                              driver::overlapped, driver::batch, driver::batch});
  if (drawn.runs == driver::batch && (drawn.by->branches || drawn.by->uses_target)) drawn.runs = driver::by_hand;
  if (drawn.runs == driver::overlapped && !drawn.by->make_ahead) drawn.runs = driver::by_hand;
  drawn.rule = chance.one_of({judging::as_published, judging::as_published, judging::as_published, judging::coupled,
                              judging::greedy, judging::another});
  if (drawn.runs == driver::overlapped) {
    drawn.rule = chance.one_of({judging::rejection, judging::coupled, judging::greedy, judging::another});
  }
  drawn.settings.draft_top = chance.one_of<std::size_t>({0, 8, 64});
  drawn.settings.num_assistant_tokens_schedule =
      chance.one_of({measurement::assistant_schedule::constant, measurement::assistant_schedule::heuristic});
  drawn.settings.ngram_text = "It was the time of the year in which the old man and the boy went to the sea.";
  drawn.gamma = chance.between(1, 8);
  const std::size_t texts = drawn.runs == driver::batch ? chance.between(1, 4) : 1;
  for (std::size_t i = 0; i < texts; ++i) {
    drawn.texts.push_back(draw_text(chance, models));
    // Settings with a default of their own for greedy targets are the same for all texts.
    if (i > 0 && drawn.by->uses_target) drawn.texts.back().options.sampling = drawn.texts[0].options.sampling;
  }
  drawn.settings.greedy = drawn.texts[0].options.sampling.temperature == 0;
  drawn.capacity = 400;
  if (drawn.runs != driver::batch && chance.once_in(5)) {
    drawn.capacity = drawn.texts[0].prompt.size() + chance.between(1, 40);
  }
  if (chance.once_in(4)) drawn.fork_at = static_cast<std::uint32_t>(chance.some(12));
  return drawn;
}

std::string plan::describe() const {
  std::string line = fmt::format("{}, {}", soak::to_string(runs), by->name);
  constexpr const char* rules[] = {"", ", rejection rule", ", coupled rule", ", greedy rule", ", another rule"};
  line += rules[static_cast<std::size_t>(rule)];
  line += fmt::format(", gamma {}, top {}, capacity {}", gamma, settings.draft_top, capacity);
  if (fork_at) line += fmt::format(", forked behind round {}", *fork_at);
  for (const text_plan& text : texts) {
    const specdec::generate_options& o = text.options;
    const specdec::sampling_params& s = o.sampling;
    line += fmt::format("; prompt {}, max {}, T {}", text.prompt.size(), o.max_tokens, s.temperature);
    if (s.filters()) line += fmt::format(", top-k {} top-p {} min-p {}", s.top_k, s.top_p, s.min_p);
    if (s.order == specdec::filter_order::llama_cpp) line += ", llama.cpp's order";
    if (s.penalizes()) {
      line += fmt::format(", penalties {} {} {} over {}", s.repetition_penalty, s.frequency_penalty, s.presence_penalty,
                          s.penalty_window);
    }
    if (!s.bias.empty()) line += fmt::format(", {} biases", s.bias.size());
    if (!o.end_tokens.empty()) line += fmt::format(", {} end tokens", o.end_tokens.size());
    if (o.min_tokens > 0) line += fmt::format(", min {}", o.min_tokens);
    if (!o.mask.empty()) line += ", mask";
    if (!o.stop_sequences.empty()) line += fmt::format(", {} stop sequences", o.stop_sequences.size());
    if (!o.stop_texts.empty()) line += fmt::format(", {} stop texts", o.stop_texts.size());
    if (o.top_log_probabilities > 0) line += fmt::format(", top {} candidates", o.top_log_probabilities);
    line += fmt::format(", seed {} stream {}", o.seed, o.stream);
    if (!text.turns.empty()) line += fmt::format(", {} more turns", text.turns.size());
  }
  return line;
}

}  // namespace soak
