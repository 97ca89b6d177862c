#ifndef SPECDEC_TESTS_BATCHES_HPP
#define SPECDEC_TESTS_BATCHES_HPP

/// @file
/// Texts to generate in batches, and models of several sequences that are watched.

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <specdec/specdec.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace batches {

using specdec::token_id;
using tokens = std::vector<token_id>;

/// A text that somebody wants.
struct wish {
  tokens prompt;
  specdec::generate_options options;
};

/// What came of it.
struct result {
  tokens generated;
  tokens delivered;
  specdec::session_status status = specdec::session_status::idle;
  std::size_t rounds = 0;
  std::size_t proposed = 0;
  std::size_t accepted = 0;

  friend bool operator==(const result&, const result&) = default;
};

inline result result_of(const specdec::session<>& text, const tokens& delivered) {
  return {{text.generated().begin(), text.generated().end()},
          delivered,
          text.status(),
          text.stats().rounds,
          text.stats().proposed,
          text.stats().accepted};
}

/// How a wish is fulfilled alone.
template <class Target, class Drafter>
result alone(Target target, Drafter drafter, const wish& wanted) {
  specdec::session text(target.vocab_size(), wanted.options);
  text.begin(wanted.prompt);
  tokens delivered;
  specdec::speculative_generate(text, target, drafter, [&](const specdec::outcome& out) {
    for (const auto& token : out.tokens) delivered.push_back(token.id);
  });
  return result_of(text, delivered);
}

/// A model of several sequences whose calls are counted.
template <class Model>
struct watched {
  Model model;
  std::size_t calls = 0;
  std::size_t tokens_fed = 0;
  std::size_t most_tokens = 0;

  [[nodiscard]] std::size_t vocab_size() const { return model.vocab_size(); }
  [[nodiscard]] std::size_t sequence_count() const { return model.sequence_count(); }
  [[nodiscard]] std::size_t size(std::size_t sequence) const { return model.size(sequence); }
  void truncate(std::size_t sequence, std::size_t n) { model.truncate(sequence, n); }
  auto decode(std::span<const specdec::sequence_feed> feeds) {
    std::size_t count = 0;
    for (const auto& feed : feeds) count += feed.tokens.size();
    tokens_fed += count;
    most_tokens = std::max(most_tokens, count);
    ++calls;
    return model.decode(feeds);
  }
};

/// Fulfils wishes with a batch: each joins when there is room and its time has come, and leaves when it is done.
/// `interrupted(error)` is asked whether to go on when a round throws.
template <class Batch, class Interrupted>
std::vector<result> together(Batch& batch, std::size_t sequences, std::size_t vocab_size,
                             const std::vector<wish>& wishes, std::size_t rounds_between, Interrupted&& interrupted) {
  std::vector<std::unique_ptr<specdec::session<>>> texts;
  std::vector<tokens> delivered(wishes.size());
  std::size_t next = 0;
  for (const wish& wanted : wishes) texts.push_back(std::make_unique<specdec::session<>>(vocab_size, wanted.options));
  const auto sink = [&](specdec::session<>& text, const specdec::outcome& out) {
    const auto at = std::find_if(texts.begin(), texts.end(), [&](const auto& t) { return t.get() == &text; });
    for (const auto& token : out.tokens) delivered[static_cast<std::size_t>(at - texts.begin())].push_back(token.id);
  };
  for (std::size_t round = 0; next < wishes.size() || batch.running(); ++round) {
    while (next < wishes.size() && batch.size() < sequences && round >= next * rounds_between) {
      texts[next]->begin(wishes[next].prompt);
      batch.join(*texts[next++]);
    }
    try {
      batch.round(sink);
    } catch (const std::exception& error) {
      if (!interrupted(error)) break;
    }
    for (auto& text : texts)
      if (!text->running() && text->status() != specdec::session_status::idle) batch.leave(*text);
  }
  std::vector<result> results;
  for (std::size_t i = 0; i < texts.size(); ++i) results.push_back(result_of(*texts[i], delivered[i]));
  return results;
}

/// Where nothing may go wrong.
inline constexpr auto never_interrupted = [](const std::exception& error) -> bool {
  throw std::logic_error(error.what());
};

/// Texts of many kinds over a vocabulary of at least 8 tokens.
inline std::vector<wish> many_wishes(std::size_t vocab_size, std::size_t count) {
  std::vector<wish> wishes;
  for (std::size_t i = 0; i < count; ++i) {
    wish wanted;
    for (std::size_t k = 0; k < 1 + i * i * 7 % 41; ++k)
      wanted.prompt.push_back(static_cast<token_id>((i + k * k * 5 + k) % vocab_size));
    wanted.options = {.max_tokens = 5 + i * 13 % 40, .seed = i / 2, .stream = static_cast<std::uint32_t>(i)};
    wanted.options.sampling.temperature = i % 3 == 0 ? 0.0 : i % 3 == 1 ? 0.7 : 1.0;
    if (i % 4 == 1) wanted.options.sampling.top_k = 4;
    if (i % 4 == 2) wanted.options.sampling.repetition_penalty = 1.2;
    if (i % 5 == 2) wanted.options.end_tokens = {3};
    if (i % 5 == 3) wanted.options.stop_sequences = {{1, 2}, {4, 4}};
    if (i % 5 == 4) {
      wanted.options.end_tokens = {5};
      wanted.options.min_tokens = 9;
    }
    wishes.push_back(wanted);
  }
  return wishes;
}

}  // namespace batches

#endif  // SPECDEC_TESTS_BATCHES_HPP
