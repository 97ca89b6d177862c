// Command lines: the first line of the input names a program, every other is an argument. They are refused with a
// std::runtime_error that says why (no other exception, no crash), or what they ask for can be done.

#include <cstdio>
#include <doctor/options.hpp>
#include <generate/options.hpp>
#ifdef SPECDEC_FUZZ_LLAMA_PROGRAM
#include <llama_cpp/options.hpp>
#endif
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

void check(const generate::request& asked) {
  check(asked.sampling);
  require(asked.method != nullptr, "there is a method");
  require(asked.gamma.value_or(0) <= measurement::most_drafted, "gamma is bounded");
  require(asked.gamma || asked.method->fixed_depth, "gamma is found only where it can be set");
  require(asked.predict >= 1 && asked.samples.value_or(1) >= 1, "there is something to do");
  specdec::generate_options options{.max_tokens = asked.predict, .sampling = asked.sampling, .seed = asked.seed};
  options.min_tokens = asked.min_tokens;
  options.stop_texts = asked.stop_texts;
  options.detokenize = [](specdec::token_id, std::string&) {};
  options.log_probabilities = asked.log_probabilities;
  options.top_log_probabilities = asked.top_log_probabilities;
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

void check(const generate::options& asked) {
  check(static_cast<const generate::request&>(asked));
  require(asked.threads <= 256, "threads are bounded");
  require(is_model(asked.method->drafts_with) == asked.draft.has_value(), "a method that drafts with a model has one");
}

#ifdef SPECDEC_FUZZ_LLAMA_PROGRAM
void check(const llama::options& asked) {
  check(static_cast<const generate::request&>(asked));
  require(asked.threads <= 256 && asked.draft_threads <= 256, "threads are bounded");
  require(asked.seconds >= 1 && asked.check_seconds.value_or(1) >= 1, "there is time");
  require(llama::has(*asked.method), "the program has the method");
  require(asked.what == llama::task::generate || asked.draft, "a pair has a draft");
}
#endif

template <class Parse>
void check_parsed_by(Parse* parse, const std::vector<const char*>& arguments) {
  static_cast<void>(refused<std::runtime_error>([&] {
    if (const auto asked = parse(static_cast<int>(arguments.size()), arguments.data())) check(*asked);
  }));
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
  std::vector<std::string> lines;
  std::string line;
  for (std::size_t i = 0; i <= size; ++i) {
    if (i < size && data[i] != '\n' && data[i] != '\0') {
      // No path leads out of the working directory, where reading might never end.
      line += data[i] == '/' ? '_' : static_cast<char>(data[i]);
    } else if (lines.size() < 40) {
      lines.push_back(std::exchange(line, {}));
    }
  }
  if (lines.size() > 1 && lines.back().empty()) lines.pop_back();
  std::vector<const char*> arguments;
  for (const std::string& argument : lines) arguments.push_back(argument.c_str());
  if (lines.front() == "doctor") {
    check_parsed_by(doctor::parse, arguments);
#ifdef SPECDEC_FUZZ_LLAMA_PROGRAM
  } else if (lines.front() == "specdec_llama") {
    check_parsed_by(llama::parse, arguments);
#endif
  } else {
    check_parsed_by(generate::parse, arguments);
  }
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() {
  std::vector<bytes> made;
  for (const char* words : {
           "",
           "generate\n--help",
           "generate\n--version",
           "generate\n--prompt\nIt was\n-n\n20\n--temp\n0\n--seed\n7\n--json\n--trace",
           "generate\n-p\na\n--gamma\nauto\n--method\nblock\n--no-baseline\n--no-color\n--ignore-eos",
           "generate\n-p\na\n--method=prompt_lookup\n--max-matching-ngram-size=3\n--gamma=10",
           "generate\n-p\na\n--stop\n\\n\\x41\\\\\n-r\n[a,b]\n--min-tokens\n5\n--samples\n2",
           "generate\n--top-k\n40\n--top-p\n0.95\n--min-p\n0.05\n--repeat-penalty\n1.1\n--repeat-last-n\n64",
           "generate\n--frequency-penalty\n-0.5\n--presence-penalty\n1e308\n--logprobs\n3\n--logprobs-of\nmodel",
           "generate\n--temp\nnan\n",
           "generate\n--temp\n1e-7",
           "generate\n--method\nsuffix\n--max-spec-factor\n2\n--doubt\n0\n--min-token-prob\n0.2",
           "generate\n--method\nlenient\n--lenience\n0.3\n--draft-top\n0",
           "generate\n--method\nbig_little\n--fallback-threshold\n0.5\n--rollback-threshold\ninf",
           "generate\n--method\ndraft_verify\n--skip\nno.json\n--th-stop-draft\n0.5",
           "generate\n--method\nuniversal\n-md\nnone\n--target-lookbehind\n5\n--assistant-lookbehind\n1",
           "generate\n--method\nngram\n--ngram-order\n1\n--ngram-text\n.",
           "generate\n-m\na.gguf\n--threads\n2\n--weights\nf32\n--ballast\n150M",
           "generate\n--json=maybe\n--trace=99999999999999999999\n--\n-x\n--=\n-\n",
           "doctor\na.gguf\nb.gguf\n--check\n--seconds\n5\n--draft-temp\n0.5\n--draft-ballast\n1.5K",
           "doctor\n--prompts\np.jsonl\n--check=60\n-s\n18446744073709551615",
           "doctor\n--help",
           "doctor\n--temp\n0\n--top-k\n40\n-t\n2\n--weights\nf32\n--draft-top\n0",
           "specdec_llama\n--help",
           "specdec_llama\n-m\na.gguf\n-md\nb.gguf\n-p\na\n-ngl\n3\n-td\n1\n-c\n512",
           "specdec_llama\n-m\na.gguf\n-md\nb.gguf\n--doctor\n--check\n--seconds\n5",
           "specdec_llama\n-m\na.gguf\n-md\nb.gguf\n--compare\n--texts\n16\n--temp\n0.8",
       }) {
    made.push_back(bytes_of(words));
  }
  return made;
}
