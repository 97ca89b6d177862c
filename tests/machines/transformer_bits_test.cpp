// The toy transformer's logits and texts are the same on every machine. See bits_test.cpp.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <gguf.hpp>
#include <model.hpp>
#include <span>
#include <specdec/specdec.hpp>
#include <string>
#include <tokenizer.hpp>

#include "digest.hpp"

namespace {

using machines::digest;

TEST(bits, of_the_transformer_are_the_same_everywhere) {
  const std::string models = SPECDEC_MODELS_DIR;
  const toy::gguf_file file(models + "/target.gguf");
  const toy::tokenizer tokenizer(file);
  const toy::model target_model(file);
  const toy::model draft_model(models + "/draft.gguf");
  const auto prompt = tokenizer.encode("It was evening. The lamps were not yet lit,");

  digest rows;
  toy::context context(target_model);
  const auto logits = context.decode(prompt, prompt.size());
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const auto row = logits.row(i);
    for (std::size_t t = 0; t < row.size(); ++t) rows.add(row[t]);
  }
  EXPECT_EQ(rows.value(), 0x9bb0265d0a487ad3U);

  digest texts;
  for (const double temperature : {0.0, 0.8}) {
    toy::context target(target_model);
    toy::context draft(draft_model);
    const auto text = specdec::speculative_generate(
        target, draft, prompt, {.gamma = 4, .max_tokens = 60, .sampling = {.temperature = temperature}, .seed = 5});
    for (const auto& token : text.tokens) texts.add(static_cast<std::uint64_t>(token.id));
    texts.add(std::uint64_t{text.stats.accepted});
  }
  EXPECT_EQ(texts.value(), 0x3266da36d10124c9U);
}

}  // namespace
