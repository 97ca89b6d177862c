#ifndef SPECDEC_TESTING_FAULTY_SEQUENCES_HPP
#define SPECDEC_TESTING_FAULTY_SEQUENCES_HPP

/// @file
/// A model of several sequences that fails when it is told to: what a `faulty_model` is for a model of one.

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "../batches.hpp"
#include "../concepts.hpp"
#include "../types.hpp"
#include "faulty.hpp"

namespace specdec::inline SPECDEC_ABI::testing {

/// A model of several sequences that conforms, wrapped so that it fails at a chosen call. Owns the model;
/// `faulty_sequences<M&>` refers to it.
///
/// Models `DecodesBatches`, and `HasCapacity` where the wrapped model does. Movable and copyable where that is. A call
/// that fails midway has taken the first half of its feeds (rounded down), and half of the tokens of the next; rows are
/// numbered through all feeds, so that a wrong row may be another text's. Rows are copied; decode allocates.
template <class Model>
requires DecodesBatches<std::remove_reference_t<Model>>
class faulty_sequences : public fault_injector {
 public:
  using wrapped = std::remove_reference_t<Model>;
  /// The type of a logit.
  using value_type = arithmetic<
      std::remove_cvref_t<decltype(std::declval<wrapped&>().decode(std::span<const sequence_feed>()).row(0)[0])>>;

  explicit faulty_sequences(Model model, const fault& planned = {})
      : fault_injector(planned), model_(std::forward<Model>(model)) {}

  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  [[nodiscard]] std::size_t sequence_count() const { return model_.sequence_count(); }
  [[nodiscard]] std::size_t size(std::size_t sequence) const { return model_.size(sequence); }
  [[nodiscard]] std::size_t capacity() const requires HasCapacity<wrapped> { return model_.capacity(); }

  /// The wrapped model's decode, or the fault. Throws `injected_fault`, and what the wrapped model throws.
  logits_view<value_type> decode(std::span<const sequence_feed> feeds) {
    begin_call();
    throw_if(fault_kind::throw_before, "decode");
    if (due(fault_kind::throw_midway)) (void)model_.decode(half_of(feeds));
    throw_if(fault_kind::throw_midway, "decode");
    std::size_t count = 0;
    {
      const auto& rows = model_.decode(feeds);
      copy_rows(rows, logits_);
      count = rows.size();
    }
    throw_if(fault_kind::throw_after, "decode");
    return spoiled(logits_, count, vocab_size(), last_row_);
  }

  /// The wrapped model's truncate, or the fault. Throws `injected_fault`, and what the wrapped model throws.
  void truncate(std::size_t sequence, std::size_t n) {
    begin_call();
    throw_if(fault_kind::throw_before, "truncate");
    if (due(fault_kind::throw_midway)) model_.truncate(sequence, n + (model_.size(sequence) - n) / 2);
    throw_if(fault_kind::throw_midway, "truncate");
    model_.truncate(sequence, n);
    throw_if(fault_kind::throw_after, "truncate");
  }

  [[nodiscard]] wrapped& model() noexcept { return model_; }

 private:
  static std::vector<sequence_feed> half_of(std::span<const sequence_feed> feeds) {
    std::vector<sequence_feed> half(feeds.begin(), feeds.begin() + static_cast<std::ptrdiff_t>(feeds.size() / 2));
    if (half.size() < feeds.size()) {
      const sequence_feed& next = feeds[half.size()];
      half.push_back({next.sequence, next.tokens.first(next.tokens.size() / 2), 0});
    }
    return half;
  }

  Model model_;
  std::vector<value_type> logits_, last_row_;
};

template <class Model>
faulty_sequences(Model) -> faulty_sequences<Model>;
template <class Model>
faulty_sequences(Model, fault) -> faulty_sequences<Model>;

}  // namespace specdec::inline SPECDEC_ABI::testing

#endif  // SPECDEC_TESTING_FAULTY_SEQUENCES_HPP
