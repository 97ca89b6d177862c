#include <cstddef>
#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <specdec/specdec.hpp>

#include "measurement.hpp"
#include "models.hpp"
#include "options.hpp"
#include "report.hpp"
#include "terminal.hpp"
#include "utf8.hpp"

namespace generate {
namespace {

constexpr int success = 0, failure = 1, wrong_usage = 2;

/// Takes tokens as they come: keeps what text each of them completed, and shows it.
class text_stream {
 public:
  /// Shows nothing if `out` is null.
  text_stream(const toy::tokenizer& tokenizer, const terminal* out) : tokenizer_(&tokenizer), out_(out) {}

  void operator()(const specdec::outcome& round) {
    for (const specdec::emitted_token& token : round.tokens) {
      texts_.push_back(characters_.push(tokenizer_->piece(token.id)));
      show(token.origin == specdec::provenance::drafted ? style::drafted : style::plain, texts_.back());
    }
  }

  /// Ends the text and returns what each token completed.
  std::vector<std::string> finish() {
    const std::string rest = characters_.finish();
    if (!rest.empty()) texts_.back() += rest;
    show(style::plain, rest);
    show(style::plain, "\n");
    return std::move(texts_);
  }

 private:
  void show(style as, std::string_view text) const {
    if (out_ != nullptr) out_->write(as, text);
  }

  const toy::tokenizer* tokenizer_;
  const terminal* out_;
  utf8_stream characters_;
  std::vector<std::string> texts_;
};

specdec::generate_options generation_options(const options& asked, const toy::tokenizer& tokenizer) {
  specdec::generate_options result{.max_tokens = asked.predict, .sampling = asked.sampling, .seed = asked.seed};
  if (!asked.ignore_eos && tokenizer.eos()) result.end_tokens = {*tokenizer.eos()};
  return result;
}

/// Generates the text once, shown as it comes.
template <class Generator>
void generate_text(Generator& generator, text_stream& stream, findings& found) {
  found.generated = generator.run(stream);
  found.texts = stream.finish();
  found.measured = {found.generated.stats, 1};
}

findings run(const options& asked, const model_pair& models, const terminal* out) {
  const toy::tokenizer& tokenizer = models.target.tokenizer;
  const std::vector<specdec::token_id> prompt = tokenizer.encode(asked.prompt);
  specdec::generate_options generation = generation_options(asked, tokenizer);
  text_stream stream(tokenizer, out);
  findings found;
  found.prompt_tokens = prompt.size();
  specdec::no_draft nothing;

  if (!models.draft || asked.gamma == 0U) {
    plain_generator plain(models.target.model, nothing, generation);
    found.reading = plain.read(prompt);
    if (out != nullptr) out->write(style::prompt, asked.prompt);
    generate_text(plain, stream, found);
    return found;
  }

  toy::context draft_context(models.draft->model);
  text_drafter drafter(draft_context, specdec::constant{asked.gamma.value_or(0)}, {.top = asked.draft_top});
  speculative_generator speculative(models.target.model, drafter, generation);
  found.reading = speculative.read(prompt);
  if (!asked.gamma) choose_gamma(speculative, drafter);
  found.gamma = drafter.policy().gamma;
  if (out != nullptr) out->write(style::prompt, asked.prompt);
  generate_text(speculative, stream, found);
  if (!asked.baseline || found.gamma == 0) return found;

  // As many tokens as with speculation, wherever another text would have ended.
  generation.max_tokens = found.generated.tokens.size();
  generation.end_tokens.clear();
  plain_generator plain(models.target.model, nothing, generation);
  plain.read(prompt);
  found.compared = compare(speculative, drafter, plain);
  found.measured = found.compared->speculative;
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
  const findings found = run(*asked, models, asked->json ? nullptr : &out);
  if (asked->json) {
    out.write_styled(to_json(*asked, models, found));
  } else {
    log.write_styled(to_table(*asked, models, found, log));
  }
  out.close();
  return success;
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
