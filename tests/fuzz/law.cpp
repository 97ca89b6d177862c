// From logits of any bits and parameters of any bits to a law: both are refused as documented, or the law is one, to
// the same bits on every instruction set.

#include <cmath>
#include <optional>
#include <specdec/sampling/law.hpp>
#include <specdec/sampling/residual.hpp>
#include <stdexcept>

#include "logits.hpp"

namespace {

namespace detail = specdec::detail;
using fuzz::input;
using fuzz::refused;
using fuzz::require;
using specdec::proposal;
using specdec::row_fault;
using specdec::token_id;

/// What is asked of a row.
struct question {
  specdec::sampling_params params;
  specdec::end_rule ends;
  std::optional<fuzz::sieve> sieve;
  std::vector<token_id> text;
  std::size_t prompt_size = 0;
  std::vector<double> draws{0, 0.5, 0x1.fffffffffffffp-1};
  std::size_t top = 1;
  std::uint64_t seed = 0;

  [[nodiscard]] specdec::text_so_far so_far() const { return {text, {}, prompt_size}; }
  [[nodiscard]] bool edits() const { return params.penalizes() || !params.bias.empty() || ends.restricts(); }
  [[nodiscard]] bool forbids(std::size_t token) const {
    if (!sieve) return false;
    fuzz::sieve led = *sieve;
    for (std::size_t i = prompt_size; i < text.size(); ++i) led.advance(text[i]);
    return !led.allows(static_cast<token_id>(token));
  }
};

question ask(input& in, std::size_t vocab_size) {
  question asked;
  asked.params = fuzz::sampling(in, vocab_size);
  if (in.one_in(8)) asked.ends = {fuzz::text(in, vocab_size, 3), in.below(8)};
  if (in.one_in(4)) asked.sieve.emplace(in.bits<std::uint32_t>(), vocab_size);
  asked.text = fuzz::text(in, vocab_size, 12);
  asked.prompt_size = in.below(asked.text.size() + 1);
  asked.draws.push_back(static_cast<double>(in.bits<std::uint32_t>()) * 0x1p-32);
  asked.top = in.between(1, std::min<std::size_t>(vocab_size, 20));
  asked.seed = in.bits<std::uint32_t>();
  return asked;
}

using numbers = std::vector<std::uint64_t>;

template <class Law>
void add_draws(numbers& found, const question& asked, const Law& p) {
  for (const double u : asked.draws) {
    const token_id token = p.draw(u);
    require(token >= 0 && static_cast<std::size_t>(token) < p.vocab_size(), "a draw is of the vocabulary");
    require(p.probability(token) > 0, "no draw is impossible");
    found.push_back(static_cast<std::uint64_t>(token));
  }
}

/// Everything that a law and those made of it tell, by bits.
template <class T>
numbers told(const specdec::distribution<T>& p, const question& asked, std::span<const float> weights) {
  numbers found{static_cast<std::uint64_t>(p.fault())};
  if (!p.valid()) return found;
  const auto add = [&found](double x) { found.push_back(std::bit_cast<std::uint64_t>(x)); };
  const std::size_t vocab_size = p.vocab_size();
  found.push_back(static_cast<std::uint64_t>(p.mode()));
  for (std::size_t t = 0; t < vocab_size; t += 1 + vocab_size / 64) add(p.probability(static_cast<token_id>(t)));
  add(p.log_probability(p.mode()));
  add(p.entropy());
  add_draws(found, asked, p);
  const specdec::race_noise noise(asked.seed, 0, 7);
  const token_id winner = p.race(noise);
  require(winner >= 0 && p.probability(winner) > 0, "no winner is impossible");
  found.push_back(static_cast<std::uint64_t>(winner));
  std::vector<token_id> ids(asked.top);
  ids.resize(p.most_probable(ids));
  for (const token_id id : ids) found.push_back(static_cast<std::uint64_t>(id));
  std::vector<token_id> top(asked.top);
  std::vector<float> top_weights(asked.top);
  std::vector<float> all(vocab_size);
  for (const proposal& q : {proposal::dense(weights), p.propose_all(all), p.propose_top(top, top_weights),
                            proposal::point_mass(vocab_size, winner)}) {
    add(q.total());
    add_draws(found, asked, q);
    found.push_back(static_cast<std::uint64_t>(q.race(noise)));
    const specdec::residual left(p, q);
    add(left.mass());
    add_draws(found, asked, left);
  }
  return found;
}

/// Whether what is wrong with a row is what the law says.
template <class T>
void check_fault(row_fault fault, const specdec::logits_row<T>& row, const question& asked) {
  using Real = specdec::arithmetic<T>;
  constexpr Real infinity = std::numeric_limits<Real>::infinity();
  bool nan = false, infinite = false, possible = false, allowed = false;
  for (std::size_t t = 0; t < row.size(); ++t) {
    const auto x = static_cast<Real>(row[t]);
    possible = possible || x > -infinity;
    if (asked.forbids(t)) continue;
    nan = nan || x != x;
    infinite = infinite || x == infinity;
    allowed = allowed || x > -infinity;
  }
  const row_fault nothing = possible ? row_fault::nothing_allowed : row_fault::all_negative_infinity;
  if (nan) {
    require(fault == row_fault::nan, "a NaN is a fault");
  } else if (infinite) {
    require(fault == row_fault::positive_infinity, "+inf is a fault");
  } else if (!allowed) {
    require(fault == nothing, "a row without a possible token is a fault");
  } else {
    // Bias and least length may leave nothing.
    require(fault == row_fault::none || (asked.edits() && fault == nothing), "every other row is usable");
  }
}

/// Whether it is a law, and that of the parameters.
template <class T>
void check_law(const specdec::distribution<T>& p, const question& asked) {
  double sum = 0, largest = 0;
  std::size_t kept = 0;
  for (std::size_t t = 0; t < p.vocab_size(); ++t) {
    const double share = p.probability(static_cast<token_id>(t));
    require(share >= 0 && share <= 1 + 1e-6, "a probability is one");
    const double logarithm = p.log_probability(static_cast<token_id>(t));
    require(std::isfinite(logarithm) || share == 0, "a token that can be drawn has a log-probability");
    require(share < 1e-30 || std::abs(std::exp(logarithm) / share - 1) < 1e-4, "the log-probability is its logarithm");
    require(share == 0 || !asked.forbids(t), "what is forbidden is impossible");
    sum += share;
    largest = std::max(largest, share);
    kept += share > 0 ? 1U : 0U;
  }
  require(std::abs(sum - 1) < 1e-4, "probabilities sum to 1");
  require(p.probability(p.mode()) == largest, "the mode is the most probable token");
  const specdec::sampling_params& params = asked.params;
  require(params.temperature > 0 || kept == 1, "a greedy law has one token");
  require(params.top_k == 0 || kept <= params.top_k, "top-k keeps k tokens at most");
  for (std::size_t t = 0; t < p.vocab_size() && params.order == specdec::filter_order::hugging_face; ++t) {
    const double share = p.probability(static_cast<token_id>(t));
    require(share == 0 || share >= params.min_p * largest * (1 - 1e-4), "min-p keeps nothing less probable");
  }
  require(p.entropy() <= std::log(static_cast<double>(kept)) + 1e-4,
          "no entropy is greater than that of a uniform law");
}

/// The instruction sets that can run here, and the one in use, set back in the end.
class instruction_sets {
 public:
  instruction_sets() {
    for (const detail::isa set : detail::every_isa) {
      if (detail::supported(set)) sets_.push_back(set);
    }
  }
  ~instruction_sets() { detail::isa_in_use() = before_; }
  instruction_sets(const instruction_sets&) = delete;
  instruction_sets& operator=(const instruction_sets&) = delete;

  template <class Call>
  void with_each(Call&& call) {
    for (const detail::isa set : sets_) {
      detail::isa_in_use() = set;
      call();
    }
  }

 private:
  std::vector<detail::isa> sets_;
  detail::isa before_ = detail::isa_in_use();
};

template <class T>
void examine(input& in) {
  const std::size_t vocab_size = fuzz::vocabulary_size(in);
  const question asked = ask(in, vocab_size);
  const bool usable = fuzz::allowed(asked.params, vocab_size);
  require(refused<std::invalid_argument>([&] { specdec::law(vocab_size, asked.params); }) == !usable,
          "parameters out of range are refused, no others are");
  if (!usable) return;
  const fuzz::logits<T> rows(in, 1, vocab_size);
  const auto row = rows.row(0);
  std::vector<float> weights(vocab_size);
  for (std::size_t t = 0; t < vocab_size; ++t) weights[t] = static_cast<float>(fuzz::mixed(asked.seed + t) % 64) / 8;
  weights[asked.seed % vocab_size] = 1;

  std::size_t width = in.below(2 * vocab_size);
  if (width >= vocab_size) ++width;
  const auto misshapen = specdec::logits_row<T>(row.data(), width, row.stride());
  std::optional<numbers> expected;
  instruction_sets().with_each([&] {
    specdec::law pipeline(vocab_size, asked.params, asked.ends);
    specdec::mask_follower mask(asked.sieve ? specdec::any_mask(*asked.sieve) : specdec::any_mask());
    mask.restart(asked.text.size());
    require(pipeline.of(misshapen, asked.so_far(), &mask).fault() == row_fault::wrong_width, "a width is a fault");
    const auto p = pipeline.of(row, asked.so_far(), &mask);
    const numbers found = told(p, asked, weights);
    if (!expected) {
      check_fault(p.fault(), row, asked);
      if (p.valid()) check_law(p, asked);
      expected = found;
    }
    require(found == *expected, "bits are the same on every instruction set");
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in({data, size});
  fuzz::with_any_logit(in, [&]<class Logit>() { examine<Logit>(in); });
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() { return noises(40, 160); }
