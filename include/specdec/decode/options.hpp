#ifndef SPECDEC_DECODE_OPTIONS_HPP
#define SPECDEC_DECODE_OPTIONS_HPP

/// @file
/// What a user asks of one generation.

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "../failure.hpp"
#include "../message.hpp"
#include "../sampling/mask.hpp"
#include "../sampling/params.hpp"
#include "../types.hpp"
#include "detokenizer.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Which law the log-probabilities of generated tokens are taken from.
enum class log_probability_of : std::uint8_t {
  nothing,  ///< none are computed; under a mask this saves filling it where a drafted token is accepted
  law,      ///< the law that tokens are chosen from: after penalties, mask, temperature and filters
  model,    ///< the model's own: softmax of its logits as they are
};

struct generate_options {
  /// Tokens drafted per round when the draft is a bare model. A drafter decides for itself and ignores it.
  std::size_t gamma = 4;
  /// Tokens to generate at most.
  std::size_t max_tokens = 128;
  /// How the target's tokens are chosen.
  sampling_params sampling = {};
  /// Generation ends behind any of these; the end token is delivered.
  std::vector<token_id> end_tokens = {};
  /// Names the noise. The same seed and stream give the same text, whose law is the target's if what drafts has not
  /// learnt from another one of theirs; see `Drafter`.
  std::uint64_t seed = 0;
  /// Tells parallel samples of one seed apart.
  std::uint32_t stream = 0;

  /// End tokens are impossible before so many tokens were generated.
  std::size_t min_tokens = 0;
  /// Which tokens may come: a grammar's matcher, say, at the place behind the prompt. Empty allows all.
  any_mask mask = {};

  /// Generation ends behind any of these sequences of tokens, wherever rounds break them. They are not delivered:
  /// tokens that may begin one wait until it is clear. They stay in the session's text; see `session::rewind`.
  std::vector<std::vector<token_id>> stop_sequences = {};
  /// The same for texts, wherever tokens break them. Needs `detokenize`.
  std::vector<std::string> stop_texts = {};
  /// Appends a token's bytes to a text. With it, every `outcome` has the bytes of its tokens.
  any_detokenizer detokenize = {};

  /// Which law the tokens' log-probabilities are from.
  log_probability_of log_probabilities = log_probability_of::law;
  /// How many of the most probable tokens to report with every token, from the same law.
  std::size_t top_log_probabilities = 0;

  /// Throws std::invalid_argument, saying what was expected and what came. The sampling parameters are the law's.
  void validate(std::size_t vocab_size) const {
    if (vocab_size == 0) raise<std::invalid_argument>("specdec: the vocabulary must not be empty");
    for (const token_id token : end_tokens) require_token(token, vocab_size, "the list of end tokens");
    for (const auto& sequence : stop_sequences) {
      if (sequence.empty()) raise<std::invalid_argument>("specdec: a stop sequence must have at least one token");
      for (const token_id token : sequence) require_token(token, vocab_size, "a stop sequence");
    }
    for (const auto& text : stop_texts) {
      if (text.empty()) raise<std::invalid_argument>("specdec: a stop text must have at least one byte");
    }
    if (!stop_texts.empty() && !detokenize) {
      raise<std::invalid_argument>("specdec: stop texts need options.detokenize, which tells a token's bytes");
    }
    if (top_log_probabilities > vocab_size) {
      raise<std::invalid_argument>("specdec: expected at most " + std::to_string(vocab_size) +
                                   " top log-probabilities, the vocabulary's size; got " +
                                   std::to_string(top_log_probabilities));
    }
    if (top_log_probabilities > 0 && log_probabilities == log_probability_of::nothing) {
      raise<std::invalid_argument>("specdec: top log-probabilities need a law; options.log_probabilities is nothing");
    }
  }
};

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DECODE_OPTIONS_HPP
