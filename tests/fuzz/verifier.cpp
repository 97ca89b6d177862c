// Every verification rule, over drafts of any tokens and parents from any proposals, and rows of any bits, one of them
// perhaps of another width: proposals that make no law are refused; a verdict keeps a path of the draft whose tokens,
// and the one behind, are possible for the target, or names the row that is at fault.

#include <specdec/specdec.hpp>
#include <stdexcept>

#include "logits.hpp"

namespace {

using fuzz::input;
using fuzz::refused;
using fuzz::require;
using specdec::draft;
using specdec::node_id;
using specdec::proposal;
using specdec::row_fault;
using specdec::token_id;
using specdec::verdict;

/// Chance whose uniform numbers are often at the edges.
class edgy_chance {
 public:
  static constexpr bool races = true;

  explicit edgy_chance(std::uint64_t seed) : philox_(seed) {}

  [[nodiscard]] bool accept(const specdec::key& k, double p, double q) const { return uniform(k) * q < p; }
  template <std::invocable P>
  [[nodiscard]] bool accept(const specdec::key& k, double bound, P&& p, double q) const {
    const double taken = uniform(k) * q;
    const double exact = p();
    require(bound <= exact * (1 + 1e-4), "a bound is one");
    return taken < bound || taken < exact;
  }
  template <specdec::DiscreteLaw L>
  [[nodiscard]] token_id draw(const specdec::key& k, const L& law) const {
    return law.draw(uniform(k));
  }
  template <class L>
  [[nodiscard]] token_id race(std::uint32_t position, const L& law) const {
    return philox_.race(position, law);
  }

 private:
  [[nodiscard]] double uniform(const specdec::key& k) const {
    const double u = philox_.uniform(k);
    const double edge = u * 8 - 7;
    if (edge < 0) return u * 8 - static_cast<double>(static_cast<int>(u * 8));
    return edge < 0.4 ? 0 : edge < 0.6 ? 0x1p-53 : 0x1.fffffffffffffp-1;
  }

  specdec::philox philox_;
};

/// Makes drafts as an input says.
class drafter {
 public:
  drafter(input& in, std::size_t vocab_size) : in_(in), vocab_size_(vocab_size) {}

  void propose(draft& answer, edgy_chance& chance) {
    for (std::size_t steps = in_.below(10); steps > 0; --steps) {
      const auto parent = static_cast<node_id>(in_.below(8) < 5 ? answer.size() : in_.below(answer.size() + 1));
      const auto q = any_law();
      if (!q) continue;
      const std::size_t way = in_.below(8);
      if (way > 1 || answer.first_child(parent) != specdec::no_node) {
        answer.extend(parent, *q, chance);
      } else if (way == 1) {
        answer.extend_independently(parent, in_.between(1, 3), *q, chance);
      } else {
        const std::size_t wanted = in_.below(4);
        require(answer.extend_distinctly(parent, wanted, *q, chance) <= wanted, "no more are drawn than are wanted");
      }
    }
  }

 private:
  [[nodiscard]] token_id any_token() {
    return in_.one_in(32) ? in_.bits<token_id>() : static_cast<token_id>(in_.below(vocab_size_));
  }
  [[nodiscard]] float any_weight(std::size_t kind) {
    if (kind == 7) return in_.bits<float>();
    const auto steps = static_cast<float>(in_.below(17));
    return kind == 6 ? steps * 1e-32F : kind == 5 ? steps * 1e-45F : steps;
  }

  /// A law, or nothing if there is none with these numbers; that is refused, and nothing else is.
  [[nodiscard]] std::optional<proposal> any_law() {
    std::optional<proposal> q;
    if (in_.below(3) == 0) {
      const token_id token = any_token();
      const bool no_law = refused<std::invalid_argument>([&] { q = proposal::point_mass(vocab_size_, token); });
      require(no_law == !(token >= 0 && static_cast<std::size_t>(token) < vocab_size_), "tokens are of the vocabulary");
      return q;
    }
    const std::size_t kind = in_.below(8);
    const bool sparse = in_.below(2) == 0;
    ids_.clear();
    weights_.clear();
    bool sound = true;
    if (sparse) {
      for (std::size_t i = in_.below(7); i > 0; --i) ids_.push_back(any_token());
      if (!in_.one_in(16)) {
        std::sort(ids_.begin(), ids_.end());
        ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
      }
      for (std::size_t i = 0; i < ids_.size(); ++i) {
        sound = sound && ids_[i] >= 0 && static_cast<std::size_t>(ids_[i]) < vocab_size_;
        sound = sound && (i == 0 || ids_[i - 1] < ids_[i]);
        weights_.push_back(any_weight(kind));
      }
      if (in_.one_in(32)) weights_.push_back(1);
      sound = sound && weights_.size() == ids_.size();
    } else {
      float palette[4];
      for (float& weight : palette) weight = any_weight(kind);
      const auto seed = in_.bits<std::uint16_t>();
      for (std::size_t t = 0; t < vocab_size_; ++t) weights_.push_back(palette[fuzz::mixed(seed + t) % 4]);
    }
    double total = 0;
    for (const float weight : weights_) {
      sound = sound && weight >= 0;
      total += static_cast<double>(weight);
    }
    const bool no_law = refused<std::invalid_argument>(
        [&] { q = sparse ? proposal::sparse(vocab_size_, ids_, weights_) : proposal::dense(weights_); });
    // Sums may be rounded in another order.
    if (total > 0.999e-30 && total < 1.001e-30) return q;
    require(no_law == !(sound && total >= 1e-30 && total <= 1e30),
            "weights that make no law are refused, no others are");
    return q;
  }

  input& in_;
  std::size_t vocab_size_;
  std::vector<token_id> ids_;
  std::vector<float> weights_;
};

void check_draft(const draft& drafted, std::size_t vocab_size) {
  for (node_id node = 1; node <= drafted.size(); ++node) {
    require(drafted.parent(node) < node && drafted.depth(node) == drafted.depth(drafted.parent(node)) + 1,
            "a draft is a tree");
    const token_id token = drafted.token(node);
    require(token >= 0 && static_cast<std::size_t>(token) < vocab_size, "of tokens of the vocabulary");
    require(drafted.law_of(node).probability(token) > 0, "each of which its law can draw");
  }
}

bool same(const verdict& a, const verdict& b) {
  return a.kept == b.kept && a.next == b.next && a.fault == b.fault && a.rejected == b.rejected &&
         a.fell_back == b.fell_back;
}

/// The rule's verdict, which must be what a verdict is.
/// @param looks_before whether the rule judges by the law before temperature and filters
template <class T, class Rule>
verdict check(const Rule& rule, const draft& drafted, const fuzz::logits<T>& rows, specdec::law& target,
              edgy_chance& chance, bool looks_before = false) {
  const verdict v = rule(drafted, rows, target, chance);
  require(same(v, rule(drafted, rows, target, chance)), "asking twice gives the same answer");
  require(v.kept <= drafted.size(), "a verdict keeps a node of the draft");
  const auto possible = [&](node_id node, token_id token) {
    const auto p = looks_before ? target.untempered_at(rows, node) : target.at(rows, node);
    require(p.valid(), "no token is kept behind a row at fault");
    return p.log_probability(token) > -std::numeric_limits<double>::infinity();
  };
  for (node_id node = v.kept; node != specdec::root; node = drafted.parent(node)) {
    require(possible(drafted.parent(node), drafted.token(node)), "every token that is kept is possible");
  }
  if (v.fault != row_fault::none) {
    require(v.faulty_row == v.kept && target.at(rows, v.faulty_row).fault() == v.fault, "the row named is at fault");
    return v;
  }
  require(v.next >= 0 && static_cast<std::size_t>(v.next) < target.vocab_size(), "the next token is of the vocabulary");
  require(possible(v.kept, v.next) && target.at(rows, v.kept).probability(v.next) > 0, "and possible");
  require(v.rejected == (drafted.first_child(v.kept) != specdec::no_node), "it replaces what was drafted there");
  return v;
}

template <class T>
void examine(input& in) {
  const std::size_t vocab_size = fuzz::vocabulary_size(in);
  specdec::sampling_params params = fuzz::sampling(in, vocab_size);
  if (!fuzz::allowed(params, vocab_size)) params = {};
  std::vector<token_id> text = fuzz::text(in, vocab_size, 8);
  text.push_back(0);
  const std::size_t prompt_size = in.between(1, text.size());
  specdec::end_rule ends;
  if (in.one_in(8)) ends = {fuzz::text(in, vocab_size, 3), in.below(8)};
  specdec::any_mask mask;
  if (in.one_in(4)) mask = fuzz::sieve(in.bits<std::uint32_t>(), vocab_size);
  specdec::law target(vocab_size, params, ends, mask);

  edgy_chance chance(in.bits<std::uint16_t>());
  draft drafted;
  drafted.begin({.context = text, .target_law = &target, .round = 3, .coupled = in.one_in(8)});
  drafter(in, vocab_size).propose(drafted, chance);
  check_draft(drafted, vocab_size);
  fuzz::logits<T> rows(in, drafted.size() + 1, vocab_size);
  const double threshold = static_cast<double>(in.below(16)) / 4;
  const double lenience = static_cast<double>(in.between(1, 16)) / 16;
  if (in.one_in(8)) rows.misshape(in.below(rows.size()), in.below(2 * vocab_size + 1));
  std::vector<std::uint8_t> ended(drafted.size() + 1);
  for (node_id node = 1; node <= drafted.size(); ++node) {
    ended[node] = ended[drafted.parent(node)] != 0 || ends.ends(drafted.token(node)) ? 1 : 0;
  }
  const auto begin = [&] {
    target.mask().restart(8);
    target.begin_round(text, prompt_size, drafted, ended);
  };
  begin();
  bool spoiled = false;
  const fuzz::logits<T> asked_again = rows.without([&](std::size_t node) {
    const bool is_spoiled = specdec::is_of_model(target.at(rows, static_cast<node_id>(node)).fault());
    spoiled = spoiled || is_spoiled;
    return is_spoiled;
  });
  const auto judged_by = [&](const auto& rule, bool looks_before = false) {
    begin();
    const verdict v = check(rule, drafted, rows, target, chance, looks_before);
    if (!spoiled || v.fault != row_fault::none) return;
    begin();
    require(same(v, rule(drafted, asked_again, target, chance)), "what is decided does not depend on spoiled rows");
  };
  judged_by(specdec::rejection());
  judged_by(specdec::block_verification());
  judged_by(specdec::coupled());
  judged_by(specdec::greedy());
  judged_by(specdec::naive_sampling());
  judged_by(specdec::recursive_rejection());
  judged_by(specdec::traversal());
  judged_by(specdec::k_seq());
  judged_by(specdec::lenient(lenience), params.temperature == 0);
  judged_by(specdec::typical_acceptance(lenience / 2, threshold));
  judged_by(specdec::big_little(threshold), true);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in({data, size});
  fuzz::with_any_logit(in, [&]<class Logit>() { examine<Logit>(in); });
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() { return noises(40, 240); }
