#include "engine.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace llama {
namespace {

namespace bridge = specdec::llama_cpp;
using measurement::any_context;
using specdec::token_id;

constexpr std::size_t most_by_default = 4096;

bridge::model load(const std::filesystem::path& path, const options& asked) {
  llama_model_params how = llama_model_default_params();
  if (asked.gpu_layers) how.n_gpu_layers = *asked.gpu_layers;
  return bridge::model::load(path.string(), how);
}

unsigned threads_of(const options& asked) {
  return asked.threads > 0 ? asked.threads : std::max(std::thread::hardware_concurrency(), 1U);
}

/// A context without the padding of its vocabulary.
template <class Context>
class unpadded {
 public:
  unpadded(Context context, std::size_t vocab_size) : context_(std::move(context)), vocab_size_(vocab_size) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t size() const noexcept { return context_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return context_.capacity(); }
  [[nodiscard]] std::span<const token_id> tokens() const noexcept { return context_.tokens(); }
  [[nodiscard]] specdec::logits_view<float> decode(std::span<const token_id> tokens, std::size_t rows) {
    return narrowed(context_.decode(tokens, rows));
  }
  [[nodiscard]] specdec::logits_view<float> decode_tree(std::span<const token_id> tokens,
                                                        std::span<const specdec::node_id> parents,
                                                        std::size_t rows) requires specdec::DecodesTrees<Context> {
    return narrowed(context_.decode_tree(tokens, parents, rows));
  }
  void keep(std::span<const specdec::node_id> path) requires specdec::DecodesTrees<Context> { context_.keep(path); }
  void truncate(std::size_t size) { context_.truncate(size); }

 private:
  [[nodiscard]] specdec::logits_view<float> narrowed(const specdec::logits_view<float>& rows) const {
    if (rows.size() == 0) return {};
    return {rows.row(0).data(), rows.size(), vocab_size_, static_cast<std::ptrdiff_t>(context_.vocab_size())};
  }

  Context context_;
  std::size_t vocab_size_;
};

}  // namespace

engine::engine(const options& asked)
    : asked_(asked),
      target_(load(asked.target, asked)),
      target_threads_(threads_of(asked)),
      draft_threads_(asked.draft_threads > 0 ? asked.draft_threads : target_threads_),
      for_target_(target_threads_) {
  if (draft_threads_ != target_threads_) for_draft_.emplace(draft_threads_);
  if (asked.draft) {
    draft_ = load(*asked.draft, asked);
    if (const std::string difference = bridge::vocabulary_difference(target_, *draft_); !difference.empty()) {
      throw std::runtime_error(fmt::format("{}: expected the vocabulary of {}; {}", asked.draft->string(),
                                           asked.target.string(), difference));
    }
  }
  const std::size_t shared = std::min(target_.vocab_size(), draft_ ? draft_->vocab_size() : target_.vocab_size());
  for (std::size_t token = 0; token < shared; ++token) pieces_.push_back(target_.piece(static_cast<token_id>(token)));
  end_tokens_ = target_.end_tokens();
  std::erase_if(end_tokens_, [&](token_id token) { return static_cast<std::size_t>(token) >= shared; });

  const std::size_t trained =
      std::min(target_.context_length(), draft_ ? draft_->context_length() : target_.context_length());
  if (asked.context_size > trained) {
    throw std::runtime_error(
        fmt::format("--ctx-size: expected at most {} tokens, as many as the models were trained on; "
                    "got {}",
                    trained, asked.context_size));
  }
  context_size_ = asked.context_size > 0 ? asked.context_size : std::min(trained, most_by_default);
}

std::vector<token_id> engine::encode(std::string_view text) const { return target_.tokenize(text); }

std::string_view engine::piece(token_id token) const { return pieces_.at(static_cast<std::size_t>(token)); }

any_context engine::target_context(bool trees) const {
  return context_of(target_, target_threads_, for_target_, trees);
}

any_context engine::draft_context(bool trees) const {
  return context_of(*draft_, draft_threads_, for_draft_ ? *for_draft_ : for_target_, trees);
}

any_context engine::context_of(const bridge::model& model, unsigned threads, const waiting_threads& pool,
                               bool trees) const {
  llama_context_params how = llama_context_default_params();
  how.n_ctx = static_cast<std::uint32_t>(context_size_);
  how.n_threads = how.n_threads_batch = static_cast<std::int32_t>(threads);
  how.no_perf = true;
  const auto made = [&](auto context) -> any_context {
    pool.serve(context.handle());
    if (context.vocab_size() == vocab_size()) return context;
    return unpadded<decltype(context)>(std::move(context), vocab_size());
  };
  if (trees) return made(bridge::tree_context(model, bridge::for_trees(how, measurement::most_drafted)));
  return made(bridge::context(model, how));
}

engine::workplace engine::assemble(const measurement::method& method,
                                   const measurement::method_settings& settings) const {
  any_context draft;
  if (is_model(method.drafts_with)) draft = draft_context(method.drafts_trees);
  return {target_context(method.drafts_trees), method.assemble_anywhere(std::move(draft), settings)};
}

program::model_description engine::target() const {
  return {asked_.target, llama_model_n_params(target_.handle()), fmt::format(" ({})", target_.description())};
}

std::optional<program::model_description> engine::draft() const {
  if (!draft_) return std::nullopt;
  return program::model_description{*asked_.draft, llama_model_n_params(draft_->handle()),
                                    fmt::format(" ({})", draft_->description())};
}

void engine::list_settings(nlohmann::ordered_json& settings) const {
  settings["engine"] = "llama.cpp";
  settings["filter_order"] = "llama_cpp";
  settings["target_format"] = target_.description();
  settings["draft_format"] = draft_ ? nlohmann::ordered_json(draft_->description()) : nlohmann::ordered_json();
  settings["context_size"] = context_size_;
  settings["threads"] = target_threads_;
  settings["draft_threads"] = draft_threads_;
}

}  // namespace llama
