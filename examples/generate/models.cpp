#include "models.hpp"

namespace generate {

model_pair load_models(const options& asked) {
  model_pair pair{program::load_model(asked.target, {asked.weights, asked.ballast, asked.threads}), std::nullopt};
  if (asked.draft) {
    pair.draft = program::load_model(*asked.draft, {asked.weights, 0, asked.threads});
    if (asked.method->drafts_with == measurement::draft_source::model) {
      require_same_vocabulary(pair.target, *pair.draft);
    }
  }
  return pair;
}

}  // namespace generate
