#ifndef LLAMA_CPP_MATCHING_HPP
#define LLAMA_CPP_MATCHING_HPP

/// @file
/// llama.cpp's own rule of speculation (common/sampling.cpp, common_sampler_sample_and_accept_n, v0.5.0): the draft's
/// likeliest tokens stand while the target's sampler draws the very same ones.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <measurement/any_context.hpp>
#include <specdec/adapters/llama_cpp.hpp>
#include <specdec/specdec.hpp>

namespace llama {

/// A text that grows by that rule, with llama.cpp's samplers. Without tokens to draft it is plain decoding with them.
class matching_text {
 public:
  /// @param draft empty if gamma is 0
  /// @param never tokens that never come, so that the text does not end
  matching_text(measurement::any_context target, measurement::any_context draft, std::size_t gamma,
                const specdec::sampling_params& sampling, std::span<const specdec::token_id> never);

  /// Reads a prompt into the contexts, and draws from the sampler's noise of this seed from then on. Precondition: the
  /// prompt is not empty.
  void begin(std::span<const specdec::token_id> prompt, std::uint32_t seed);

  /// Drafts, scores and samples once. Returns the tokens that came. Throws what the contexts throw.
  std::size_t round();

  [[nodiscard]] std::span<const specdec::token_id> tokens() const noexcept { return text_; }

 private:
  void draft_tokens();
  [[nodiscard]] specdec::token_id sample(const float* logits);

  measurement::any_context target_, draft_;
  std::size_t gamma_;
  specdec::sampling_params sampling_;
  std::vector<llama_logit_bias> never_;
  specdec::llama_cpp::sampler chain_;
  std::vector<llama_token_data> candidates_;
  std::vector<specdec::token_id> text_;
  /// The last token of the text, and those drafted behind it.
  std::vector<specdec::token_id> call_;
  /// How much of the text the draft's context holds.
  std::size_t drafts_held_ = 0;
};

}  // namespace llama

#endif  // LLAMA_CPP_MATCHING_HPP
