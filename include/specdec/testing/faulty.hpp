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
#include "../requirements.hpp"
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
  narrow_rows,            ///< all rows lack the last token's logit
  wide_rows,              ///< all rows have the last token's logit twice
  too_few_rows,           ///< the last row is missing
  too_many_rows,          ///< the last row comes twice
  wrong_rows,             ///< the first and the last row have changed places; a single one is the one before it
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
    case fault_kind::narrow_rows:
      return "narrow rows";
    case fault_kind::wide_rows:
      return "wide rows";
    case fault_kind::too_few_rows:
      return "too few rows";
    case fault_kind::too_many_rows:
      return "too many rows";
    case fault_kind::wrong_rows:
      return "wrong rows";
  }
  return "an unknown fault";
}

/// When a model fails, and how.
struct fault {
  fault_kind kind = fault_kind::none;
  /// The call that fails, the first being 1; all calls that change the model are counted alike. A fault of rows waits
  /// for the next call that returns a row; wrong rows, besides, until they differ from the right ones.
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

/// Counts the calls of a model and makes those fail that are to fail: what `faulty_model` and `faulty_sequences` have
/// in common.
class fault_injector {
 public:
  explicit fault_injector(const fault& planned = {}) noexcept : fault_(planned) {}

  /// Plans another fault, or mends the model. Calls and faults are counted from here.
  void arm(const fault& planned = {}) noexcept { *this = fault_injector(planned); }

  /// What was planned last.
  [[nodiscard]] const fault& planned() const noexcept { return fault_; }
  /// Calls that change the model so far, those that failed included.
  [[nodiscard]] std::size_t calls() const noexcept { return calls_; }
  /// How often the fault has struck.
  [[nodiscard]] std::size_t faults() const noexcept { return faults_; }
  /// The call that it struck first; 0 if none.
  [[nodiscard]] std::size_t first_fault() const noexcept { return first_fault_; }

 protected:
  void begin_call() noexcept { ++calls_; }

  [[nodiscard]] bool due(fault_kind kind) const noexcept {
    if (fault_.kind != kind) return false;
    const bool throws =
        kind == fault_kind::throw_before || kind == fault_kind::throw_midway || kind == fault_kind::throw_after;
    if (fault_.persistent) return calls_ >= fault_.call;
    return throws ? calls_ == fault_.call : calls_ >= fault_.call && faults_ == 0;
  }

  void throw_if(fault_kind kind, const char* name) {
    if (!due(kind)) return;
    strike();
    throw injected_fault(std::string("specdec: injected fault in call ") + std::to_string(calls_) + ", " + name + ": " +
                         to_string(kind));
  }

  /// The rows that the call returns: a matrix in `logits`, of which this spoils what it must. `last` holds the last row
  /// that the model returned before, if any, and then that of this call, unspoiled.
  template <class T>
  [[nodiscard]] logits_view<T> spoiled(std::vector<T>& logits, std::size_t rows, std::size_t width,
                                       std::vector<T>& last) {
    const logits_view<T> as_it_is(logits.data(), rows, width);
    if (rows == 0) return as_it_is;
    const auto row = [&](std::size_t i) { return logits.begin() + static_cast<std::ptrdiff_t>(i * width); };
    std::vector<T> before(row(rows - 1), row(rows));
    before.swap(last);
    if (!due(fault_.kind)) return as_it_is;
    const auto hit = row(std::min(fault_.row, rows - 1));
    const auto after_hit = hit + static_cast<std::ptrdiff_t>(width);
    std::size_t given_rows = rows;
    std::size_t given_width = width;
    constexpr T infinity = std::numeric_limits<T>::infinity();
    switch (fault_.kind) {
      case fault_kind::nan:
        std::fill(hit, after_hit, std::numeric_limits<T>::quiet_NaN());
        break;
      case fault_kind::positive_infinity:
        *hit = infinity;
        break;
      case fault_kind::all_negative_infinity:
        std::fill(hit, after_hit, -infinity);
        break;
      case fault_kind::narrow_rows:
        --given_width;
        break;
      case fault_kind::wide_rows:
        ++given_width;
        // From behind, so that the rows before stay where they are looked for.
        for (std::size_t i = rows; i > 0; --i) logits.insert(row(i), T(*(row(i) - 1)));
        break;
      case fault_kind::too_few_rows:
        --given_rows;
        break;
      case fault_kind::too_many_rows:
        ++given_rows;
        logits.insert(logits.end(), last.begin(), last.end());
        break;
      case fault_kind::wrong_rows: {
        if (rows == 1 && before.empty()) return as_it_is;
        const auto other = rows == 1 ? before.begin() : row(rows - 1);
        if (std::equal(row(0), row(1), other)) return as_it_is;
        std::swap_ranges(row(0), row(1), other);
        break;
      }
      default:
        return as_it_is;
    }
    strike();
    return {logits.data(), given_rows, given_width, static_cast<std::ptrdiff_t>(std::max(width, given_width))};
  }

 private:
  void strike() noexcept {
    if (faults_++ == 0) first_fault_ = calls_;
  }

  fault fault_;
  std::size_t calls_ = 0;
  std::size_t faults_ = 0;
  std::size_t first_fault_ = 0;
};

/// Copies rows into a matrix, in the type that their logits are computed with.
template <class T, LogitsRows Rows>
void copy_rows(const Rows& rows, std::vector<T>& logits) {
  logits.clear();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = rows.row(i);
    for (std::size_t t = 0; t < row.size(); ++t) logits.push_back(static_cast<T>(row[t]));
  }
}

/// A causal model that conforms, wrapped so that it fails at a chosen call. Owns the model; `faulty_model<M&>` refers
/// to it.
///
/// Models `CausalModel`, and `HasCapacity`, `KnowsTokens`, `SkipsLayers` and `DecodesTrees` where the wrapped model
/// does. Movable and copyable where that is. All rows are copied, so they are a matrix whatever the model returns, of
/// float where that stores 16 bits; decode allocates. Of a tree, what is taken halfway is text, of a path the nodes
/// nearest to the text.
template <class Model>
requires CausalModel<std::remove_reference_t<Model>>
class faulty_model : public fault_injector {
 public:
  using wrapped = std::remove_reference_t<Model>;
  /// The type of a logit.
  using value_type = arithmetic<std::remove_cvref_t<decltype(std::declval<rows_of<wrapped>>().row(0)[0])>>;

  explicit faulty_model(Model model, const fault& planned = {})
      : fault_injector(planned), model_(std::forward<Model>(model)) {}

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
    begin_call();
    throw_if(fault_kind::throw_before, "decode_tree");
    if (due(fault_kind::throw_midway)) (void)model_.decode(tokens.first((tokens.size() - parents.size()) / 2), 0);
    throw_if(fault_kind::throw_midway, "decode_tree");
    return answered(model_.decode_tree(tokens, parents, rows), "decode_tree");
  }
  /// The wrapped model's keep, or the fault. Throws `injected_fault`, and what the wrapped model throws.
  void keep(std::span<const node_id> path) requires DecodesTrees<wrapped> {
    begin_call();
    throw_if(fault_kind::throw_before, "keep");
    if (due(fault_kind::throw_midway)) model_.keep(path.first(path.size() / 2));
    throw_if(fault_kind::throw_midway, "keep");
    model_.keep(path);
    throw_if(fault_kind::throw_after, "keep");
  }

  /// The wrapped model's truncate, or the fault. Throws `injected_fault`, and what the wrapped model throws.
  void truncate(std::size_t n) {
    begin_call();
    throw_if(fault_kind::throw_before, "truncate");
    if (due(fault_kind::throw_midway)) model_.truncate(n + (model_.size() - n) / 2);
    throw_if(fault_kind::throw_midway, "truncate");
    model_.truncate(n);
    throw_if(fault_kind::throw_after, "truncate");
  }

  [[nodiscard]] wrapped& model() noexcept { return model_; }

 private:
  template <class Decode>
  logits_view<value_type> decode_by(std::span<const token_id> tokens, std::size_t rows, const Decode& decode) {
    begin_call();
    throw_if(fault_kind::throw_before, "decode");
    if (due(fault_kind::throw_midway)) (void)decode(tokens.first(tokens.size() / 2), 0);
    throw_if(fault_kind::throw_midway, "decode");
    return answered(decode(tokens, rows), "decode");
  }

  /// What the model answered, or the fault.
  template <LogitsRows Rows>
  logits_view<value_type> answered(const Rows& rows, const char* name) {
    copy_rows(rows, logits_);
    const std::size_t count = rows.size();
    throw_if(fault_kind::throw_after, name);
    return spoiled(logits_, count, vocab_size(), last_row_);
  }

  Model model_;
  std::vector<value_type> logits_, last_row_;
};

template <class Model>
faulty_model(Model) -> faulty_model<Model>;
template <class Model>
faulty_model(Model, fault) -> faulty_model<Model>;

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_FAULTY_HPP
