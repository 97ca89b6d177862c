#ifndef SPECDEC_TESTING_FAULTY_HPP
#define SPECDEC_TESTING_FAULTY_HPP

/// @file
/// A model that fails when it is told to: what does your code do when a call to the target throws, or returns NaN?
///
/// @code
/// specdec::testing::faulty_model target(my_model(), {specdec::testing::fault_kind::throw_midway, 7});
/// @endcode

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../concepts.hpp"
#include "../layer_skip.hpp"
#include "../proposal.hpp"
#include "../types.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// In what way a call goes wrong.
enum class fault_kind : std::uint8_t {
  none,
  throw_before,           ///< the call throws and has done nothing
  throw_midway,           ///< the call throws and has taken, or truncated, half of the tokens (rounded down)
  throw_after,            ///< the call throws and has done everything
  nan,                    ///< one row is NaN
  positive_infinity,      ///< one row has +inf for one token
  all_negative_infinity,  ///< one row is -inf
  wrong_width,            ///< all rows lack the last token's logit
  wrong_row_count,        ///< the last row is missing
  swapped_rows,           ///< the first and the last row have changed places
};

/// The fault in words, for messages.
[[nodiscard]] constexpr const char* to_string(fault_kind kind) noexcept {
  switch (kind) {
    case fault_kind::none:
      return "none";
    case fault_kind::throw_before:
      return "throw before";
    case fault_kind::throw_midway:
      return "throw midway";
    case fault_kind::throw_after:
      return "throw after";
    case fault_kind::nan:
      return "NaN";
    case fault_kind::positive_infinity:
      return "+inf";
    case fault_kind::all_negative_infinity:
      return "nothing but -inf";
    case fault_kind::wrong_width:
      return "wrong width";
    case fault_kind::wrong_row_count:
      return "wrong row count";
    case fault_kind::swapped_rows:
      return "swapped rows";
  }
  return "an unknown fault";
}

/// When a model fails, and how.
struct fault {
  fault_kind kind = fault_kind::none;
  /// The call that fails, the first being 1; all calls that change the model are counted alike. A fault of rows waits
  /// for the next call that returns a row, or two where they are swapped.
  std::size_t call = 1;
  /// Whether all later calls fail too.
  bool persistent = false;
  /// The row that is hit, where one is; the last if there are fewer.
  std::size_t row = 0;
};

/// What a `faulty_model` throws.
class injected_fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A causal model that conforms, wrapped so that it fails at a chosen call. Owns the model; `faulty_model<M&>` refers
/// to it.
///
/// Models `CausalModel`, and `HasCapacity`, `KnowsTokens`, `SkipsLayers` and `DecodesTrees` where the wrapped model
/// does. Movable and copyable where that is. All rows are copied, so they are a matrix whatever the model returns;
/// decode allocates. Of a tree, what is taken halfway is text, of a path the nodes nearest to the text.
template <class Model>
requires CausalModel<std::remove_reference_t<Model>>
class faulty_model {
 public:
  using wrapped = std::remove_reference_t<Model>;
  /// The type of a logit.
  using value_type = std::remove_cvref_t<decltype(std::declval<wrapped&>().decode({}, 0).row(0)[0])>;

  explicit faulty_model(Model model, const fault& planned = {}) : model_(std::forward<Model>(model)), fault_(planned) {}

  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  [[nodiscard]] std::size_t size() const { return model_.size(); }
  [[nodiscard]] std::size_t capacity() const requires HasCapacity<wrapped> { return model_.capacity(); }
  [[nodiscard]] std::size_t layer_count() const requires SkipsLayers<wrapped> { return model_.layer_count(); }
  [[nodiscard]] decltype(auto) tokens() const requires KnowsTokens<wrapped> { return std::as_const(model_).tokens(); }

  /// The wrapped model's decode, or the fault. Throws `injected_fault`, and what the wrapped model throws.
  logits_view<value_type> decode(std::span<const token_id> tokens, std::size_t rows) {
    return decode_by(tokens, rows, [&](auto some, std::size_t n) { return model_.decode(some, n); });
  }
  /// The same with layers left out.
  logits_view<value_type> decode(std::span<const token_id> tokens, std::size_t rows,
                                 const layer_skip& skipped) requires SkipsLayers<wrapped> {
    return decode_by(tokens, rows, [&](auto some, std::size_t n) { return model_.decode(some, n, skipped); });
  }

  /// The wrapped model's decode_tree, or the fault. Throws `injected_fault`, and what the wrapped model throws.
  logits_view<value_type> decode_tree(std::span<const token_id> tokens, std::span<const node_id> parents,
                                      std::size_t rows) requires DecodesTrees<wrapped> {
    ++calls_;
    throw_if(fault_kind::throw_before, "decode_tree");
    if (due(fault_kind::throw_midway)) (void)model_.decode(tokens.first((tokens.size() - parents.size()) / 2), 0);
    throw_if(fault_kind::throw_midway, "decode_tree");
    copy(model_.decode_tree(tokens, parents, rows));
    throw_if(fault_kind::throw_after, "decode_tree");
    return spoiled();
  }
  /// The wrapped model's keep, or the fault. Throws `injected_fault`, and what the wrapped model throws.
  void keep(std::span<const node_id> path) requires DecodesTrees<wrapped> {
    ++calls_;
    throw_if(fault_kind::throw_before, "keep");
    if (due(fault_kind::throw_midway)) model_.keep(path.first(path.size() / 2));
    throw_if(fault_kind::throw_midway, "keep");
    model_.keep(path);
    throw_if(fault_kind::throw_after, "keep");
  }

  /// The wrapped model's truncate, or the fault. Throws `injected_fault`, and what the wrapped model throws.
  void truncate(std::size_t n) {
    ++calls_;
    throw_if(fault_kind::throw_before, "truncate");
    if (due(fault_kind::throw_midway)) model_.truncate(n + (model_.size() - n) / 2);
    throw_if(fault_kind::throw_midway, "truncate");
    model_.truncate(n);
    throw_if(fault_kind::throw_after, "truncate");
  }

  [[nodiscard]] wrapped& model() noexcept { return model_; }
  /// Calls that change the model so far, those that failed included.
  [[nodiscard]] std::size_t calls() const noexcept { return calls_; }
  /// How often the fault has struck.
  [[nodiscard]] std::size_t faults() const noexcept { return faults_; }

 private:
  template <class Decode>
  logits_view<value_type> decode_by(std::span<const token_id> tokens, std::size_t rows, const Decode& decode) {
    ++calls_;
    throw_if(fault_kind::throw_before, "decode");
    if (due(fault_kind::throw_midway)) (void)decode(tokens.first(tokens.size() / 2), 0);
    throw_if(fault_kind::throw_midway, "decode");
    copy(decode(tokens, rows));
    throw_if(fault_kind::throw_after, "decode");
    return spoiled();
  }

  [[nodiscard]] bool due(fault_kind kind) const noexcept {
    if (fault_.kind != kind) return false;
    const bool throws =
        kind == fault_kind::throw_before || kind == fault_kind::throw_midway || kind == fault_kind::throw_after;
    if (fault_.persistent) return calls_ >= fault_.call;
    return throws ? calls_ == fault_.call : calls_ >= fault_.call && faults_ == 0;
  }

  void throw_if(fault_kind kind, const char* name) {
    if (!due(kind)) return;
    ++faults_;
    throw injected_fault(std::string("specdec: injected fault in call ") + std::to_string(calls_) + ", " + name + ": " +
                         to_string(kind));
  }

  template <LogitsRows Rows>
  void copy(const Rows& rows) {
    logits_.clear();
    rows_ = rows.size();
    for (std::size_t i = 0; i < rows_; ++i) {
      const auto row = rows.row(i);
      for (std::size_t t = 0; t < row.size(); ++t) logits_.push_back(row[t]);
    }
  }

  logits_view<value_type> spoiled() {
    const std::size_t width = vocab_size();
    if (rows_ == 0 || !due(fault_.kind)) return {logits_.data(), rows_, width};
    const auto row = [&](std::size_t i) { return logits_.begin() + static_cast<std::ptrdiff_t>(i * width); };
    const auto hit = row(std::min(fault_.row, rows_ - 1));
    const auto after_hit = hit + static_cast<std::ptrdiff_t>(width);
    std::size_t given_rows = rows_;
    std::size_t given_width = width;
    constexpr value_type infinity = std::numeric_limits<value_type>::infinity();
    switch (fault_.kind) {
      case fault_kind::nan:
        std::fill(hit, after_hit, std::numeric_limits<value_type>::quiet_NaN());
        break;
      case fault_kind::positive_infinity:
        *hit = infinity;
        break;
      case fault_kind::all_negative_infinity:
        std::fill(hit, after_hit, -infinity);
        break;
      case fault_kind::wrong_width:
        --given_width;
        break;
      case fault_kind::wrong_row_count:
        --given_rows;
        break;
      case fault_kind::swapped_rows:
        if (rows_ == 1) return {logits_.data(), rows_, width};
        std::swap_ranges(row(0), row(1), row(rows_ - 1));
        break;
      default:
        return {logits_.data(), rows_, width};
    }
    ++faults_;
    return {logits_.data(), given_rows, given_width, static_cast<std::ptrdiff_t>(width)};
  }

  Model model_;
  fault fault_;
  std::size_t calls_ = 0;
  std::size_t faults_ = 0;
  std::size_t rows_ = 0;
  std::vector<value_type> logits_;
};

template <class Model>
faulty_model(Model) -> faulty_model<Model>;
template <class Model>
faulty_model(Model, fault) -> faulty_model<Model>;

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_FAULTY_HPP
