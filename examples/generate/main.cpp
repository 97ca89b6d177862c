#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <measurement/method.hpp>
#include <measurement/quality.hpp>
#include <program/interruption.hpp>
#include <program/terminal.hpp>
#include <specdec/specdec.hpp>

#include "measurement.hpp"
#include "models.hpp"
#include "options.hpp"
#include "report.hpp"
#include "round_trace.hpp"
#include "text_stream.hpp"

namespace generate {
namespace {

using program::interruption;

constexpr int success = 0, failure = 1, wrong_usage = 2, interrupted = 130;

specdec::generate_options generation_options(const options& asked, const toy::tokenizer& tokenizer) {
  specdec::generate_options result{.max_tokens = asked.predict, .sampling = asked.sampling, .seed = asked.seed};
  if (!asked.ignore_eos && tokenizer.eos()) result.end_tokens = {*tokenizer.eos()};
  result.min_tokens = asked.min_tokens;
  result.stop_texts = asked.stop_texts;
  result.detokenize = [tokenizer](specdec::token_id token, std::string& text) { text += tokenizer.piece(token); };
  result.log_probabilities = asked.log_probabilities;
  result.top_log_probabilities = asked.top_log_probabilities;
  return result;
}

/// Where a run shows what it does. Without an `out` it shows no text.
struct screens {
  const terminal* out;
  const terminal* log;
};

/// Generates the texts, shown as they come.
void generate_texts(const options& asked, const language_model& target, const screens& screen, generator& generator,
                    findings& found) {
  const toy::tokenizer& tokenizer = target.tokenizer;
  // Lines about rounds would fall into the middle of the text, if one terminal shows both.
  text_stream stream(tokenizer, screen.out,
                     asked.trace ? text_stream::showing::at_its_end : text_stream::showing::as_it_comes);
  const round_trace trace(tokenizer, *screen.log);
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
      toy::context judge(target.model);
      made.judged = measurement::quality_of(judge, generator.text().tokens(), generator.text().prompt_size());
    }
    found.measured.stats += made.generated.stats;
    found.samples.push_back(std::move(made));
  }
}

findings run(const options& asked, const model_pair& models, const screens& screen) {
  const toy::tokenizer& tokenizer = models.target.tokenizer;
  const std::vector<specdec::token_id> prompt = tokenizer.encode(asked.prompt);
  specdec::generate_options generation = generation_options(asked, tokenizer);
  findings found;
  found.prompt_tokens = prompt.size();
  toy::context target(models.target.model);

  if (asked.method->drafts_with == measurement::draft_source::nothing || asked.gamma == 0U) {
    generator plain(target, {}, generation);
    found.reading = plain.read(prompt);
    generate_texts(asked, models.target, screen, plain, found);
    return found;
  }

  measurement::assembled_method method = asked.method->assemble(models, target, asked.method_settings);
  if (asked.gamma) method.set_gamma(*asked.gamma);
  generator speculative(target, std::move(method.drafter), generation, std::move(method.rule));
  found.reading = speculative.read(prompt);
  found.gamma = asked.gamma ? *asked.gamma : choose_gamma(speculative, method.set_gamma);
  generate_texts(asked, models.target, screen, speculative, found);
  if (!asked.baseline || asked.samples || found.gamma == 0 || interruption::stop_requested()) return found;

  // As many tokens as with speculation, those of a stop text too, wherever another text would have ended.
  generation.max_tokens = generation.min_tokens = found.measured.stats.delivered;
  generation.stop_texts.clear();
  // Each has a context of its own, so that neither reads the prompt again when they take turns.
  toy::context plain_target(models.target.model);
  generator plain(plain_target, {}, generation);
  plain.read(prompt);
  found.compared = compare(speculative, plain, found.gamma);
  if (found.compared) found.measured = found.compared->speculative;
  return found;
}

int main_of(int argc, const char* const* argv) {
  const std::optional<options> asked = parse(argc, argv);
  if (!asked) {
    terminal(stdout, false).close();
    return success;
  }
  const model_pair models = load_models(*asked);
  const terminal out(stdout, asked->color), log(stderr, asked->color);
  interruption::listen();
  const findings found = run(*asked, models, {asked->json ? nullptr : &out, &log});
  if (asked->json) {
    out.write_styled(to_json(*asked, models, found));
  } else {
    log.write_styled(to_table(*asked, models, found, log));
  }
  out.close();
  return interruption::stop_requested() ? interrupted : success;
}

/// One line on standard error. If that cannot be written either, the exit code must do: nothing throws here.
void complain(const char* what, const char* advice = "") noexcept {
  std::fprintf(stderr, "generate: %s%s\n", what, advice);
}

}  // namespace
}  // namespace generate

int main(int argc, char** argv) {
  try {
    return generate::main_of(argc, argv);
  } catch (const generate::usage_error& error) {
    generate::complain(error.what(), " (--help lists the options)");
    return generate::wrong_usage;
  } catch (const std::bad_alloc&) {
    generate::complain("the models and their contexts need more memory than there is");
    return generate::failure;
  } catch (const std::exception& error) {
    generate::complain(error.what());
    return generate::failure;
  }
}
