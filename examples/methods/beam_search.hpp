#ifndef METHODS_BEAM_SEARCH_HPP
#define METHODS_BEAM_SEARCH_HPP

/// @file
/// Beam search, without speculation: what speculative decoding is measured against.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <specdec/specdec.hpp>

namespace methods {

/// When to stop, once `width` hypotheses have ended. In brackets, the value of Hugging Face's `early_stopping`.
enum class stopping {
  when_full,        ///< at once (True)
  when_unlikely,    ///< when the best beam, if it ended as it is, would not beat the worst of them (False)
  when_impossible,  ///< when no beam, however long it may get, can beat the worst of them ("never")
};

/// The names and defaults are Hugging Face's, but for width (`num_beams`, 1 there) and max_tokens.
struct beam_search_options {
  std::size_t width = 4;  ///< beams, and hypotheses in the answer
  std::size_t max_tokens = 64;
  double length_penalty = 1;  ///< a score is log p(text) / length^length_penalty: above 0, long texts gain
  stopping early_stopping = stopping::when_unlikely;
  std::vector<specdec::token_id> end_tokens = {};
};

/// A text that was found.
struct hypothesis {
  std::vector<specdec::token_id> tokens;  ///< behind the prompt, an end token included
  double log_probability = 0;             ///< of these tokens under the model, natural logarithm
  double score = 0;
  bool ended = false;  ///< whether its last token is an end token
};

/// The best hypotheses so far.
class hypotheses {
 public:
  explicit hypotheses(const beam_search_options& options) : options_(options) {}

  [[nodiscard]] double score(double log_probability, std::size_t length) const {
    return log_probability / std::pow(static_cast<double>(length), options_.length_penalty);
  }

  void add(std::vector<specdec::token_id> tokens, double log_probability, bool ended) {
    const double value = score(log_probability, tokens.size());
    const auto place =
        std::find_if(found_.begin(), found_.end(), [&](const auto& other) { return other.score < value; });
    found_.insert(place, {std::move(tokens), log_probability, value, ended});
    if (found_.size() > options_.width) found_.pop_back();
  }

  /// Whether to stop, if the best beam has this log-probability with `length` tokens and may grow to `longest`.
  [[nodiscard]] bool enough(double log_probability, std::size_t length, std::size_t longest) const {
    if (found_.size() < options_.width) return false;
    if (options_.early_stopping == stopping::when_full) return true;
    // A log-probability only falls; divided by a power of the length, it is at best what the longest text would have.
    const bool may_rise = options_.early_stopping == stopping::when_impossible && options_.length_penalty > 0;
    return found_.back().score >= score(log_probability, may_rise ? longest : length);
  }

  [[nodiscard]] std::vector<hypothesis> take() && { return std::move(found_); }

 private:
  const beam_search_options& options_;
  std::vector<hypothesis> found_;
};

/// A text being written, and which of the contexts has read it, all but its last token.
struct beam {
  std::vector<specdec::token_id> tokens;
  double log_probability = 0;
  std::size_t context = 0;
};

/// Gives every beam a context of its own. They come with their parents': the last child keeps it, the others get
/// copies, in place of contexts that no beam needs.
template <class Model>
void part(std::vector<Model>& contexts, std::vector<beam>& beams) {
  std::vector<std::size_t> claims(contexts.size(), 0);
  for (const beam& child : beams) ++claims[child.context];
  std::size_t unclaimed = 0;
  for (beam& child : beams) {
    const std::size_t parent = child.context;
    if (claims[parent] == 1) continue;
    --claims[parent];
    while (unclaimed < claims.size() && claims[unclaimed] != 0) ++unclaimed;
    child.context = unclaimed;
    if (unclaimed == contexts.size()) {
      contexts.push_back(contexts[parent]);
      claims.push_back(1);
    } else {
      contexts[unclaimed] = contexts[parent];
      claims[unclaimed] = 1;
    }
  }
}

/// Extends `width` texts at once, each time keeping the best extensions of all (beam search as in Hugging Face's
/// `generate`, without sampling). Returns the `width` best texts found, best first; fewer if there are not so many.
///
/// Every step looks at the 2 * width best extensions: those that end the text become hypotheses if they are among the
/// first `width`, the best `width` of the others are the next beams. Beams that reach max_tokens, or the end of the
/// model's context, become hypotheses as they are. Width 1 is greedy decoding, unless it stops `when_impossible`.
///
/// Cost per token: `width` decodes of one token, and at most width - 1 copies of a context. Throws
/// std::invalid_argument for an empty prompt or one beyond the context, width 0 or max_tokens 0, std::runtime_error if
/// the model's logits are unusable, and what the model throws.
///
/// @param context a model whose copies go on from where it is; it is emptied and reads the prompt
template <specdec::CausalModel Model>
requires std::copyable<Model> std::vector<hypothesis> beam_search(Model context,
                                                                  std::span<const specdec::token_id> prompt,
                                                                  const beam_search_options& options) {
  if (prompt.empty() || options.width == 0 || options.max_tokens == 0)
    throw std::invalid_argument("beam_search: expected a prompt, a width and max_tokens of at least 1; got " +
                                std::to_string(prompt.size()) + ", " + std::to_string(options.width) + " and " +
                                std::to_string(options.max_tokens));
  std::size_t longest = options.max_tokens;
  if constexpr (specdec::HasCapacity<Model>) {
    if (prompt.size() > context.capacity())
      throw std::invalid_argument("beam_search: expected a prompt of at most " + std::to_string(context.capacity()) +
                                  " tokens, the model's context; got " + std::to_string(prompt.size()));
    // The last token is not read.
    longest = std::min(longest, context.capacity() - prompt.size() + 1);
  }

  struct extension {
    std::size_t parent;
    specdec::token_id token;
    double log_probability;
  };
  // Of equals, the better beam's and the lower token first, so that the result can be repeated.
  const auto better = [](const extension& a, const extension& b) {
    if (a.log_probability != b.log_probability) return a.log_probability > b.log_probability;
    return a.parent != b.parent ? a.parent < b.parent : a.token < b.token;
  };
  specdec::law law(context.vocab_size(), {});
  std::vector<specdec::token_id> likely(std::min(2 * options.width, law.vocab_size()));
  std::vector<extension> extensions;
  const auto extend = [&](const auto& rows, std::size_t parent, double so_far) {
    const auto p = law.of(rows.row(0));
    if (!p.valid()) throw std::runtime_error(std::string("beam_search: the model's row has ") + to_string(p.fault()));
    for (const specdec::token_id token : std::span(likely).first(p.most_probable(likely)))
      extensions.push_back({parent, token, so_far + p.log_probability(token)});
  };

  context.truncate(0);
  extend(context.decode(prompt, 1), 0, 0.0);
  std::vector<Model> contexts;
  contexts.reserve(options.width);
  contexts.push_back(std::move(context));
  hypotheses found(options);
  std::vector<beam> beams(1), next;
  for (std::size_t length = 1; length <= longest; ++length) {
    const std::size_t looked_at = std::min(2 * options.width, extensions.size());
    std::partial_sort(extensions.begin(), extensions.begin() + static_cast<std::ptrdiff_t>(looked_at), extensions.end(),
                      better);
    next.clear();
    for (std::size_t rank = 0; rank < looked_at && next.size() < options.width; ++rank) {
      const auto [parent, token, log_probability] = extensions[rank];
      std::vector<specdec::token_id> tokens = beams[parent].tokens;
      tokens.push_back(token);
      if (std::find(options.end_tokens.begin(), options.end_tokens.end(), token) == options.end_tokens.end())
        next.push_back({std::move(tokens), log_probability, beams[parent].context});
      else if (rank < options.width)
        found.add(std::move(tokens), log_probability, true);
    }
    std::swap(beams, next);
    if (beams.empty() || found.enough(beams.front().log_probability, length, longest)) return std::move(found).take();
    if (length == longest) break;

    part(contexts, beams);
    extensions.clear();
    for (std::size_t i = 0; i < beams.size(); ++i)
      extend(contexts[beams[i].context].decode(std::span(beams[i].tokens).last(1), 1), i, beams[i].log_probability);
  }
  for (beam& text : beams) found.add(std::move(text.tokens), text.log_probability, false);
  return std::move(found).take();
}

}  // namespace methods

#endif  // METHODS_BEAM_SEARCH_HPP
