#include "toy_engine.hpp"

#include <functional>
#include <utility>

#include <nlohmann/json.hpp>

#include <program/language_model.hpp>

namespace generate {
namespace {

using measurement::any_context;
using program::language_model;
using program::model_description;
using specdec::token_id;

measurement::model_pair load_models(const options& asked) {
  measurement::model_pair pair{program::load_model(asked.target, {asked.weights, asked.ballast, asked.threads}),
                               std::nullopt};
  if (asked.draft) {
    pair.draft = program::load_model(*asked.draft, {asked.weights, 0, asked.threads});
    if (asked.method->drafts_with == measurement::draft_source::model) {
      require_same_vocabulary(pair.target, *pair.draft);
    }
  }
  return pair;
}

class toy_engine final : public engine {
 public:
  explicit toy_engine(const options& asked) : asked_(asked), models_(load_models(asked)) {
    if (const auto eos = models_.target.tokenizer.eos()) end_tokens_ = {*eos};
  }

  [[nodiscard]] std::vector<token_id> encode(std::string_view text) const override {
    return models_.target.tokenizer.encode(text);
  }
  [[nodiscard]] std::string_view piece(token_id token) const override { return models_.target.tokenizer.piece(token); }
  [[nodiscard]] const std::vector<token_id>& end_tokens() const override { return end_tokens_; }

  [[nodiscard]] workplace assemble(const measurement::method& method,
                                   const measurement::method_settings& settings) const override {
    // The drafter may refer to the target, which stays where it is however the workplace is moved.
    auto target = std::make_shared<toy::context>(models_.target.model);
    measurement::assembled_method assembled = method.assemble(models_, *target, settings);
    struct kept_target {
      std::shared_ptr<toy::context> context;
      using type = toy::context;
      [[nodiscard]] type& get() const noexcept { return *context; }
    };
    return {any_context(kept_target{std::move(target)}), std::move(assembled)};
  }
  [[nodiscard]] any_context new_target() const override { return toy::context(models_.target.model); }

  [[nodiscard]] model_description target() const override {
    return {models_.target.path, models_.target.model.parameter_count(), asked_.ballast > 0 ? " with ballast" : ""};
  }
  [[nodiscard]] std::optional<model_description> draft() const override {
    if (!models_.draft) return std::nullopt;
    return model_description{models_.draft->path, models_.draft->model.parameter_count()};
  }
  void list_settings(nlohmann::ordered_json& settings) const override {
    settings["weights"] = asked_.weights == toy::weight_format::float16 ? "f16" : "f32";
    settings["ballast"] = asked_.ballast;
    settings["threads"] = asked_.threads;
    settings["instruction_set"] = models_.target.model.instruction_set();
  }

 private:
  options asked_;
  measurement::model_pair models_;
  std::vector<token_id> end_tokens_;
};

}  // namespace

std::unique_ptr<engine> load_toy_engine(const options& asked) { return std::make_unique<toy_engine>(asked); }

}  // namespace generate
