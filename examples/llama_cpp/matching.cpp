#include "matching.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace llama {
namespace {

using measurement::any_context;
using specdec::token_id;
using specdec::llama_cpp::sampler;

// As common_sampler orders them.
sampler chain_of(const specdec::sampling_params& sampling, std::size_t vocab_size,
                 std::span<const llama_logit_bias> never, std::uint32_t seed) {
  const auto size = static_cast<std::int32_t>(vocab_size);
  // llama.cpp counts in 32 bits.
  const auto at_most = [](std::size_t count, std::size_t most) {
    return static_cast<std::int32_t>(std::min(count, most));
  };
  sampler chain = sampler::chain({});
  const auto add = [&](llama_sampler* one) { llama_sampler_chain_add(chain.handle(), one); };
  if (!never.empty()) add(llama_sampler_init_logit_bias(size, static_cast<std::int32_t>(never.size()), never.data()));
  if (sampling.penalizes()) {
    add(llama_sampler_init_penalties(
        size, at_most(sampling.penalty_window, std::size_t{1} << 24), static_cast<float>(sampling.repetition_penalty),
        static_cast<float>(sampling.frequency_penalty), static_cast<float>(sampling.presence_penalty)));
  }
  if (sampling.temperature == 0) {
    add(llama_sampler_init_greedy());
    return chain;
  }
  if (sampling.top_k > 0) add(llama_sampler_init_top_k(at_most(sampling.top_k, vocab_size)));
  if (sampling.top_p < 1) add(llama_sampler_init_top_p(static_cast<float>(sampling.top_p), 1));
  if (sampling.min_p > 0) add(llama_sampler_init_min_p(static_cast<float>(sampling.min_p), 1));
  add(llama_sampler_init_temp(static_cast<float>(sampling.temperature)));
  add(llama_sampler_init_dist(seed));
  return chain;
}

// Keeps the context's first n tokens, if it has more.
void cut(any_context& context, std::size_t n) {
  if (context.size() > n) context.truncate(n);
}

}  // namespace

matching_text::matching_text(any_context target, any_context draft, std::size_t gamma,
                             const specdec::sampling_params& sampling, std::span<const token_id> never)
    : target_(std::move(target)),
      draft_(std::move(draft)),
      gamma_(gamma),
      sampling_(sampling),
      chain_(chain_of(sampling, target_.vocab_size(), {}, 0)),
      candidates_(target_.vocab_size()) {
  for (const token_id token : never) never_.push_back({token, -std::numeric_limits<float>::infinity()});
}

void matching_text::begin(std::span<const token_id> prompt, std::uint32_t seed) {
  chain_ = chain_of(sampling_, target_.vocab_size(), never_, seed);
  for (const token_id token : prompt) llama_sampler_accept(chain_.handle(), token);
  text_.assign(prompt.begin(), prompt.end());
  const std::span<const token_id> read = prompt.first(prompt.size() - 1);
  for (any_context* context : {&target_, &draft_}) {
    if (!*context) continue;
    cut(*context, 0);
    if (!read.empty()) (void)context->decode(read, 0);
  }
  drafts_held_ = read.size();
}

void matching_text::draft_tokens() {
  const std::size_t room = std::min(target_.capacity(), draft_.capacity());
  const std::size_t count = std::min(gamma_, room - std::min(room, text_.size()));
  cut(draft_, drafts_held_);
  std::span<const token_id> missing = std::span<const token_id>(text_).subspan(drafts_held_);
  while (call_.size() < count + 1) {
    const auto row = draft_.decode(missing, 1).row(0);
    const float* const logits = row.data();
    call_.push_back(static_cast<token_id>(std::max_element(logits, logits + row.size()) - logits));
    missing = std::span<const token_id>(call_).last(1);
  }
}

token_id matching_text::sample(const float* logits) {
  for (std::size_t i = 0; i < candidates_.size(); ++i) candidates_[i] = {static_cast<llama_token>(i), logits[i], 0};
  llama_token_data_array all{candidates_.data(), candidates_.size(), -1, false};
  llama_sampler_apply(chain_.handle(), &all);
  const llama_token token = all.data[all.selected].id;
  llama_sampler_accept(chain_.handle(), token);
  return token;
}

std::size_t matching_text::round() {
  const std::size_t before = text_.size();
  call_.assign(1, text_.back());
  if (gamma_ > 0) draft_tokens();
  cut(target_, before - 1);
  const auto rows = target_.decode(call_, call_.size());
  for (std::size_t i = 0; i < call_.size(); ++i) {
    text_.push_back(sample(rows.row(i).data()));
    if (i + 1 == call_.size() || call_[i + 1] != text_.back()) break;
  }
  const std::size_t came = text_.size() - before;
  if (gamma_ > 0) drafts_held_ = std::min<std::size_t>(draft_.size(), before + came - 1);
  return came;
}

}  // namespace llama
