#ifndef SOAK_METHODS_HPP
#define SOAK_METHODS_HPP

/// @file
/// What generates in an episode: the models, and every way to draft with them.

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <measurement/method.hpp>
#include <model.hpp>
#include <program/language_model.hpp>
#include <specdec/specdec.hpp>

#include "ahead.hpp"

namespace soak {

using specdec::token_id;
using tokens = std::vector<token_id>;
using measurement::any_rule;

/// The bundled models and prompts, loaded once.
struct workplace {
  /// Throws std::runtime_error naming a file that cannot be used.
  explicit workplace(const std::filesystem::path& folder);

  measurement::model_pair pair;     ///< target and draft
  measurement::model_pair foreign;  ///< the target and a draft with another vocabulary
  toy::model mini;                  ///< a cheaper draft with the target's vocabulary
  std::vector<tokens> prompts;

  [[nodiscard]] std::size_t vocab_size() const noexcept { return pair.target.model.vocab_size(); }
};

/// The contexts of one run; target and draft fail when they are told to.
struct bench {
  bench(const workplace& models, std::size_t capacity)
      : target(toy::context(models.pair.target.model, capacity)),
        draft(toy::context(models.pair.draft->model)),
        mini(models.mini) {}
  bench(const bench&) = delete;
  bench& operator=(const bench&) = delete;

  faulty_context target, draft;
  toy::context mini;
};

/// A way to draft, with the rule that its inventors judge it by.
struct method {
  std::string name;
  bool lossless = true;
  bool branches = false;     ///< its drafts are trees
  bool uses_target = false;  ///< it drafts with the target's context
  bool learns = false;       ///< drafts depend on what became of the rounds before
  bool reads_clock = false;  ///< drafts depend on what rounds take
  /// Refers to the bench, which must outlive it.
  std::function<measurement::assembled_method(const workplace&, bench&, const measurement::method_settings&)> make = {};
  /// The drafter alone, of so many tokens a round, for a driver that drafts ahead; empty where that cannot be, or is
  /// not written. Refers to the bench, too.
  std::function<ahead_drafter(bench&, const measurement::method_settings&, std::size_t gamma)> make_ahead = {};
};

/// All of them: those of the programs by name, and what else the library has.
[[nodiscard]] std::vector<method> all_methods();

}  // namespace soak

#endif  // SOAK_METHODS_HPP
