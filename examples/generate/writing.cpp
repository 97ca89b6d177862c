#include "writing.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <measurement/quality.hpp>
#include <program/interruption.hpp>
#include <specdec/specdec.hpp>

#include "measurement.hpp"
#include "round_trace.hpp"
#include "text_stream.hpp"

namespace generate {
namespace {

using measurement::any_context;
using program::interruption;

specdec::generate_options generation_options(const request& asked, const engine& engine) {
  specdec::generate_options result{.max_tokens = asked.predict, .sampling = asked.sampling, .seed = asked.seed};
  if (!asked.ignore_eos) result.end_tokens = engine.end_tokens();
  result.min_tokens = asked.min_tokens;
  result.stop_texts = asked.stop_texts;
  result.detokenize = [&engine](specdec::token_id token, std::string& text) { text += engine.piece(token); };
  result.log_probabilities = asked.log_probabilities;
  result.top_log_probabilities = asked.top_log_probabilities;
  return result;
}

/// Generates the texts, shown as they come.
void generate_texts(const request& asked, const engine& engine, const screens& screen, generator& generator,
                    findings& found) {
  // Lines about rounds would fall into the middle of the text, if one terminal shows both.
  text_stream stream([&](specdec::token_id token) { return engine.piece(token); }, screen.out,
                     asked.trace ? text_stream::showing::at_its_end : text_stream::showing::as_it_comes);
  const round_trace trace(engine, *screen.log);
  const std::uint32_t count = asked.samples.value_or(1);
  found.measured.runs = 1;
  // However early the user interrupts it, there is a text, if an empty one.
  for (std::uint32_t i = 0; i == 0 || (i < count && !interruption::stop_requested()); ++i) {
    if (asked.samples) {
      const std::string_view space = i == 0 ? "" : "\n";
      if (asked.trace) trace.heading(fmt::format("{}=== rounds of sample {} of {} ===\n", space, i + 1, count));
      stream.show(style::heading, fmt::format("{}=== sample {} of {} ===\n", space, i + 1, count));
    }
    stream.show(style::prompt, asked.prompt);
    sample made;
    made.generated = generator.run(i, generator::all_rounds, [&](const specdec::outcome& round) {
      if (asked.trace) trace(round, generator.text());
      stream(round);
    });
    if (asked.trace && i == 0) trace.finish();
    made.text = stream.finish();
    made.stop_text = stop_text_of(generator.text());
    if (!asked.method->lossless) {
      made.judged =
          measurement::quality_of(engine.new_target(), generator.text().tokens(), generator.text().prompt_size());
    }
    found.measured.stats += made.generated.stats;
    found.samples.push_back(std::move(made));
  }
}

}  // namespace

findings write(const request& asked, const engine& engine, const screens& screen) {
  const std::vector<specdec::token_id> prompt = engine.encode(asked.prompt);
  specdec::generate_options generation = generation_options(asked, engine);
  findings found;
  found.prompt_tokens = prompt.size();

  if (asked.method->drafts_with == measurement::draft_source::nothing || asked.gamma == 0U) {
    any_context target = engine.new_target();
    generator plain(target, {}, generation);
    found.reading = plain.read(prompt);
    generate_texts(asked, engine, screen, plain, found);
    return found;
  }

  engine::workplace place = engine.assemble(*asked.method, asked.method_settings);
  if (asked.gamma) place.method.set_gamma(*asked.gamma);
  generator speculative(place.target, std::move(place.method.drafter), generation, std::move(place.method.rule));
  found.reading = speculative.read(prompt);
  found.gamma = asked.gamma ? *asked.gamma : choose_gamma(speculative, place.method.set_gamma);
  generate_texts(asked, engine, screen, speculative, found);
  if (!asked.baseline || asked.samples || found.gamma == 0 || interruption::stop_requested()) return found;

  // As many tokens as with speculation, those of a stop text too, wherever another text would have ended.
  generation.max_tokens = generation.min_tokens = found.measured.stats.delivered;
  generation.stop_texts.clear();
  // Each has a context of its own, so that neither reads the prompt again when they take turns.
  any_context plain_target = engine.new_target();
  generator plain(plain_target, {}, generation);
  plain.read(prompt);
  found.compared = compare(speculative, plain, found.gamma);
  if (found.compared) found.measured = found.compared->speculative;
  return found;
}

void write_and_report(const request& asked, const engine& engine, const terminal& out, const terminal& log) {
  const findings found = write(asked, engine, {asked.json ? nullptr : &out, &log});
  if (asked.json) {
    out.write_styled(to_json(asked, engine, found));
  } else {
    log.write_styled(to_table(asked, engine, found, log));
  }
  out.close();
}

}  // namespace generate
