#ifndef GENERATE_ENGINE_HPP
#define GENERATE_ENGINE_HPP

/// @file
/// What a program that generates needs of whatever runs its models.

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <measurement/any_context.hpp>
#include <measurement/method.hpp>
#include <program/model_description.hpp>
#include <specdec/specdec.hpp>

namespace generate {

/// A target with its vocabulary, and what may draft for it. Its functions throw what the engine throws.
class engine {
 public:
  virtual ~engine() = default;

  [[nodiscard]] virtual std::vector<specdec::token_id> encode(std::string_view text) const = 0;
  /// A token's bytes; none for one that is no text. Valid while the engine lives.
  [[nodiscard]] virtual std::string_view piece(specdec::token_id token) const = 0;
  /// The tokens that end a text.
  [[nodiscard]] virtual const std::vector<specdec::token_id>& end_tokens() const = 0;

  /// A method at work, with contexts of its own: a target's, which it may draft with, and what drafts.
  struct workplace {
    measurement::any_context target;
    measurement::assembled_method method;
  };
  [[nodiscard]] virtual workplace assemble(const measurement::method& method,
                                           const measurement::method_settings& settings) const = 0;
  /// A context of the target alone.
  [[nodiscard]] virtual measurement::any_context new_target() const = 0;

  [[nodiscard]] virtual program::model_description target() const = 0;
  /// Nothing if there is no draft model.
  [[nodiscard]] virtual std::optional<program::model_description> draft() const = 0;
  /// Adds what the engine was told to the settings that a report lists.
  virtual void list_settings(nlohmann::ordered_json& settings) const = 0;
};

}  // namespace generate

#endif  // GENERATE_ENGINE_HPP
