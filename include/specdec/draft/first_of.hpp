#ifndef SPECDEC_DRAFT_FIRST_OF_HPP
#define SPECDEC_DRAFT_FIRST_OF_HPP

/// @file
/// Several drafters, of which the first that has something to say drafts.

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "../concepts.hpp"
#include "../decode/outcome.hpp"
#include "../failure.hpp"
#include "../owner.hpp"
#include "../proposal.hpp"
#include "../requirements.hpp"

namespace specdec::inline SPECDEC_ABI {

/// Asks its drafters in order, until one proposes anything: the cheap and seldom right first, what always has an answer
/// last.
///
/// @code
/// specdec::first_of drafter(specdec::suffix_drafter({.min_score = 2}), specdec::model_drafter(draft));
/// @endcode
///
/// What became of a round is told to the drafter that drafted it, as if it were alone; of a round that nobody drafted,
/// to all. Its drafts may branch if those of any of them may. Owns what is moved in; std::ref(drafter), of
/// `<functional>`, makes it refer instead. Lossless, since nobody is asked for another answer behind one that was
/// drawn.
template <class... Drafters>
class first_of;

/// Nobody is left to ask.
template <>
class first_of<> {
 public:
  static constexpr bool drafts_trees = false;

  [[nodiscard]] std::optional<std::size_t> vocab_size() const noexcept { return std::nullopt; }
  template <Chance C>
  void propose(const draft_request&, C&, draft&) const noexcept {}
  void observe(const outcome&) const noexcept {}
};

template <class First, class... Others>
class first_of<First, Others...> {
 public:
  /// Whether any of its drafters may.
  static constexpr bool drafts_trees = DraftsTrees<unwrapped<First>> || first_of<Others...>::drafts_trees;

  explicit first_of(First first, Others... others) : first_(std::move(first)), others_(std::move(others)...) {}

  /// The drafters' vocabulary, as far as they tell. Throws std::invalid_argument if they disagree.
  [[nodiscard]] std::optional<std::size_t> vocab_size() const {
    std::optional<std::size_t> own;
    if constexpr (requires { unwrap(first_).vocab_size(); }) own = unwrap(first_).vocab_size();
    const std::optional<std::size_t> theirs = others_.vocab_size();
    if (own && theirs && *own != *theirs) {
      raise<std::invalid_argument>("specdec: expected drafters of one vocabulary; one has " + std::to_string(*own) +
                                   " tokens, another " + std::to_string(*theirs));
    }
    return own ? own : theirs;
  }

  /// See `Drafter`. What a drafter throws passes through.
  template <Chance C>
  void propose(const draft_request& request, C& chance, draft& answer) {
    require_drafter<unwrapped<First>, C>();
    drafted_ = false;
    unwrap(first_).propose(request, chance, answer);
    drafted_ = !answer.empty();
    if (!drafted_) others_.propose(request, chance, answer);
  }

  /// See `Observes`.
  void observe(const outcome& out) {
    if (drafted_ || out.drafted.empty()) tell(unwrap(first_), out);
    if (!drafted_) others_.observe(out);
  }

 private:
  First first_;
  first_of<Others...> others_;
  bool drafted_ = false;  ///< whether the first drafted last
};

template <class... Drafters>
first_of(Drafters...) -> first_of<Drafters...>;

static_assert(Drafter<first_of<>>);

}  // namespace specdec::inline SPECDEC_ABI

#endif  // SPECDEC_DRAFT_FIRST_OF_HPP
