// Command lines: every line of the input is an argument of `generate` and of `doctor`. They are refused with a
// std::runtime_error that says why (no other exception, no crash), or what they ask for can be done.

#include <cstdio>
#include <doctor/options.hpp>
#include <generate/options.hpp>
#include <specdec/specdec.hpp>
#include <stdexcept>

#include "fuzz.hpp"

namespace {

using fuzz::refused;
using fuzz::require;

void check(const specdec::sampling_params& params) {
  require(!refused<std::invalid_argument>([&] { params.validate(100); }), "sampling parameters can be used");
}

void check(const doctor::options& asked) {
  check(asked.sampling);
  require(asked.threads <= 256 && asked.seconds >= 1, "threads and time are bounded");
}

void check(const generate::options& asked) {
  check(asked.sampling);
  require(asked.method != nullptr, "there is a method");
  require(asked.gamma.value_or(0) <= measurement::most_drafted, "gamma is bounded");
  require(asked.gamma || asked.method->fixed_depth, "gamma is found only where it can be set");
  require(asked.predict >= 1 && asked.samples.value_or(1) >= 1, "there is something to do");
  require(asked.threads <= 256, "threads are bounded");
  require(is_model(asked.method->drafts_with) == asked.draft.has_value(), "a method that drafts with a model has one");
  specdec::generate_options options{.max_tokens = asked.predict, .sampling = asked.sampling, .seed = asked.seed};
  options.min_tokens = asked.min_tokens;
  options.stop_texts = asked.stop_texts;
  options.detokenize = [](specdec::token_id, std::string&) {};
  require(!refused<std::invalid_argument>([&] { options.validate(100); }), "a session takes the options");
  const measurement::method_settings& settings = asked.method_settings;
  require(!refused<std::invalid_argument>([&] {
    static_cast<void>(specdec::lenient(settings.lenience));
    static_cast<void>(specdec::big_little(settings.rollback_threshold));
    specdec::suffix_options suffix;
    suffix.max_spec_factor = settings.max_spec_factor;
    suffix.doubt = settings.doubt;
    suffix.min_token_prob = settings.min_token_prob;
    static_cast<void>(specdec::suffix_drafter(suffix));
  }),
          "methods take their settings");
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  // Prompts come from standard input where none is given, and help goes to standard output.
  const bool quiet =
      std::freopen("/dev/null", "r", stdin) != nullptr && std::freopen("/dev/null", "w", stdout) != nullptr;
  require(quiet, "there is a /dev/null");
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> lines{"program"};
  std::string line;
  for (std::size_t i = 0; i <= size; ++i) {
    if (i < size && data[i] != '\n' && data[i] != '\0') {
      // No path leads out of the working directory, where reading might never end.
      line += data[i] == '/' ? '_' : static_cast<char>(data[i]);
    } else if (lines.size() < 40) {
      lines.push_back(std::exchange(line, {}));
    }
  }
  if (lines.back().empty()) lines.pop_back();
  std::vector<const char*> arguments;
  for (const std::string& argument : lines) arguments.push_back(argument.c_str());
  const int count = static_cast<int>(arguments.size());
  static_cast<void>(refused<std::runtime_error>([&] {
    if (const auto asked = generate::parse(count, arguments.data())) check(*asked);
  }));
  static_cast<void>(refused<std::runtime_error>([&] {
    if (const auto asked = doctor::parse(count, arguments.data())) check(*asked);
  }));
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() {
  std::vector<bytes> made;
  for (const char* words : {
           "",
           "--help",
           "--version",
           "--prompt\nIt was\n-n\n20\n--temp\n0\n--seed\n7\n--json\n--trace",
           "-p\na\n--gamma\nauto\n--method\nblock\n--no-baseline\n--no-color\n--ignore-eos",
           "-p\na\n--method=prompt_lookup\n--max-matching-ngram-size=3\n--gamma=10",
           "-p\na\n--stop\n\\n\\x41\\\\\n-r\n[a,b]\n--min-tokens\n5\n--samples\n2",
           "--top-k\n40\n--top-p\n0.95\n--min-p\n0.05\n--repeat-penalty\n1.1\n--repeat-last-n\n64",
           "--frequency-penalty\n-0.5\n--presence-penalty\n1e308\n--logprobs\n3\n--logprobs-of\nmodel\n--json",
           "--temp\nnan\n",
           "--temp\n1e-7",
           "--method\nsuffix\n--max-spec-factor\n2\n--doubt\n0\n--min-token-prob\n0.2",
           "--method\nlenient\n--lenience\n0.3\n--draft-top\n0",
           "--method\nbig_little\n--fallback-threshold\n0.5\n--rollback-threshold\ninf",
           "--method\ndraft_verify\n--skip\nno.json\n--th-stop-draft\n0.5",
           "--method\nuniversal\n-md\nnone\n--target-lookbehind\n5\n--assistant-lookbehind\n1",
           "--method\nngram\n--ngram-order\n1\n--ngram-text\n.",
           "-m\na.gguf\n--threads\n2\n--weights\nf32\n--ballast\n150M",
           "a.gguf\nb.gguf\n--check\n--seconds\n5\n--draft-temp\n0.5\n--draft-ballast\n1.5K",
           "--prompts\np.jsonl\n--check=60\n-s\n18446744073709551615",
           "--json=maybe\n--trace=99999999999999999999\n--\n-x\n--=\n-\n",
       }) {
    made.push_back(bytes_of(words));
  }
  return made;
}
