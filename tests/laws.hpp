#ifndef SPECDEC_TESTS_LAWS_HPP
#define SPECDEC_TESTS_LAWS_HPP

/// @file
/// Laws to test with: functions of the text, and reference arithmetic that shares no code with the library.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <specdec/draft/model.hpp>
#include <specdec/proposal.hpp>
#include <specdec/testing/law_model.hpp>
#include <specdec/types.hpp>
#include <type_traits>
#include <utility>
#include <vector>

namespace laws {

using specdec::token_id;
using text_view = std::span<const token_id>;
using probabilities = std::vector<double>;

inline probabilities normalized(probabilities weights) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& w : weights) w /= total;
  return weights;
}

/// The same law behind every text.
inline auto fixed(probabilities p) {
  return [law = std::move(p)](text_view) { return law; };
}

/// A law that depends on every token of the text; deterministic in the seed.
inline auto hashed(std::size_t vocab_size, std::uint64_t seed, double sharpness = 1.5) {
  return [=](text_view text) {
    std::uint64_t h = seed * 0x9E3779B97F4A7C15U + 1;
    const auto stir = [&h](std::uint64_t x) {
      h = (h ^ x) * 0xBF58476D1CE4E5B9U;
      h ^= h >> 29;
      return h;
    };
    for (const token_id t : text) stir(static_cast<std::uint64_t>(t) + 17);
    probabilities p(vocab_size);
    for (std::size_t t = 0; t < vocab_size; ++t) {
      p[t] = std::exp(sharpness * 4 * (static_cast<double>(stir(t + 101) >> 11) * 0x1p-53 - 0.5));
    }
    return normalized(p);
  };
}

/// `law` with the tokens of the given parity made impossible.
template <class Law>
auto without_parity(Law law, std::size_t parity) {
  return [=](text_view text) {
    probabilities p = law(text);
    for (std::size_t t = parity; t < p.size(); t += 2) p[t] = 0;
    return normalized(p);
  };
}

/// softmax(log p / temperature); all mass on the first highest at 0.
template <class Law>
auto at_temperature(Law law, double temperature) {
  return [=](text_view text) {
    probabilities p = law(text);
    if (temperature == 0) {
      std::size_t best = 0;
      for (std::size_t t = 1; t < p.size(); ++t) best = p[t] > p[best] ? t : best;
      probabilities mode(p.size(), 0.0);
      mode[best] = 1;
      return mode;
    }
    for (double& x : p) x = std::pow(x, 1 / temperature);
    return normalized(p);
  };
}

/// A law written out as a table; what a rule written for a test draws from.
struct table {
  probabilities p;
  [[nodiscard]] std::size_t vocab_size() const { return p.size(); }
  [[nodiscard]] double probability(token_id t) const { return p[static_cast<std::size_t>(t)]; }
  [[nodiscard]] token_id draw(double u) const {
    double running = 0;
    for (std::size_t t = 0; t < p.size(); ++t) {
      running += p[t];
      if (u < running) return static_cast<token_id>(t);
    }
    return static_cast<token_id>(p.size()) - 1;
  }
};

/// A drafter that proposes one certain token at a time: the one that `choose(text)` names.
template <class Choose>
struct point_drafter {
  std::size_t vocab_size_;
  std::size_t gamma_;
  Choose choose_;

  [[nodiscard]] std::size_t vocab_size() const { return vocab_size_; }
  template <class Chance>
  void propose(const specdec::draft_request& request, Chance& chance, specdec::draft& answer) {
    std::vector<token_id> text(request.context.begin(), request.context.end());
    specdec::node_id tip = specdec::root;
    for (std::size_t i = 0; i < std::min(gamma_, request.max_depth); ++i) {
      tip = answer.extend(tip, specdec::proposal::point_mass(vocab_size_, choose_(text_view(text))), chance);
      text.push_back(answer.token(tip));
    }
  }
};

/// A drafter with a model of its own inside.
template <class Law, class Policy = specdec::constant>
class drafter_over {
 public:
  drafter_over(std::size_t vocab_size, Law law, std::size_t gamma, const specdec::model_drafter_options& options)
      : drafter_over(vocab_size, law, Policy{gamma}, options) {}
  drafter_over(std::size_t vocab_size, Law law, std::type_identity_t<Policy> policy,
               const specdec::model_drafter_options& options)
      : model_(std::make_unique<specdec::testing::law_model<Law>>(vocab_size, law)),
        drafter_(*model_, std::move(policy), options) {}

  template <class Chance>
  void propose(const specdec::draft_request& request, Chance& chance, specdec::draft& answer) {
    drafter_.propose(request, chance, answer);
  }
  void observe(const specdec::outcome& out) { specdec::tell(drafter_, out); }

 private:
  std::unique_ptr<specdec::testing::law_model<Law>> model_;
  specdec::model_drafter<specdec::testing::law_model<Law>, Policy> drafter_;
};

template <class Law, specdec::LengthPolicy Policy>
drafter_over(std::size_t, Law, Policy, const specdec::model_drafter_options&) -> drafter_over<Law, Policy>;

}  // namespace laws

#endif  // SPECDEC_TESTS_LAWS_HPP
