#ifndef LLAMA_CPP_ENGINE_HPP
#define LLAMA_CPP_ENGINE_HPP

/// @file
/// llama.cpp as an engine of the programs.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <generate/engine.hpp>
#include <specdec/adapters/llama_cpp.hpp>
#include <specdec/specdec.hpp>

#include "options.hpp"
#include "waiting_threads.hpp"

namespace llama {

/// A target and perhaps a draft model, with their vocabulary: what both have of it, if one of them pads it. Outlives
/// its contexts, which are used by one thread in all.
class engine final : public generate::engine {
 public:
  /// Loads the models. Throws std::runtime_error if one cannot be used, if their vocabularies differ, saying where, or
  /// if --ctx-size asks for more than a model was trained on.
  explicit engine(const options& asked);

  [[nodiscard]] std::vector<specdec::token_id> encode(std::string_view text) const override;
  [[nodiscard]] std::string_view piece(specdec::token_id token) const override;
  [[nodiscard]] const std::vector<specdec::token_id>& end_tokens() const override { return end_tokens_; }

  [[nodiscard]] workplace assemble(const measurement::method& method,
                                   const measurement::method_settings& settings) const override;
  [[nodiscard]] measurement::any_context new_target() const override { return target_context(false); }
  /// A context of the draft model. Precondition: there is one.
  [[nodiscard]] measurement::any_context new_draft() const { return draft_context(false); }

  [[nodiscard]] program::model_description target() const override;
  [[nodiscard]] std::optional<program::model_description> draft() const override;
  void list_settings(nlohmann::ordered_json& settings) const override;

  /// The tokens that both models have.
  [[nodiscard]] std::size_t vocab_size() const noexcept { return pieces_.size(); }

 private:
  [[nodiscard]] measurement::any_context target_context(bool trees) const;
  [[nodiscard]] measurement::any_context draft_context(bool trees) const;
  [[nodiscard]] measurement::any_context context_of(const specdec::llama_cpp::model& model, unsigned threads,
                                                    const waiting_threads& pool, bool trees) const;

  options asked_;
  specdec::llama_cpp::model target_;
  std::optional<specdec::llama_cpp::model> draft_;
  unsigned target_threads_, draft_threads_;
  waiting_threads for_target_;
  /// Nothing if the target's serve the draft, too.
  std::optional<waiting_threads> for_draft_;
  std::size_t context_size_ = 0;
  std::vector<std::string> pieces_;
  std::vector<specdec::token_id> end_tokens_;
};

}  // namespace llama

#endif  // LLAMA_CPP_ENGINE_HPP
