// Options of any value, numbers that are none among them: a session refuses them as documented, or generates a text
// that keeps to them. So do the rules that take numbers.

#include "logits.hpp"
#include "sessions.hpp"

namespace {

using fuzz::input;
using fuzz::refused;
using fuzz::require;
using fuzz::rule;
using fuzz::small_vocabulary;
using fuzz::text_session;
using specdec::generate_options;
using specdec::log_probability_of;
using specdec::session_status;
using specdec::token_id;

std::size_t any_count(input& in, std::size_t usual) { return in.one_in(8) ? in.bits<std::size_t>() : in.below(usual); }

std::vector<token_id> any_tokens(input& in, std::size_t most) {
  std::vector<token_id> tokens = fuzz::tokens_of(in, in.one_in(8) ? 0 : 1, most);
  if (in.one_in(16)) tokens.push_back(in.bits<token_id>());
  return tokens;
}

generate_options any_options(input& in) {
  generate_options options{.max_tokens = any_count(in, 24)};
  options.sampling = fuzz::sampling(in, small_vocabulary);
  if (in.one_in(4)) options.end_tokens = any_tokens(in, 2);
  options.seed = in.bits<std::uint64_t>();
  options.stream = in.bits<std::uint32_t>();
  options.min_tokens = in.one_in(4) ? any_count(in, 8) : 0;
  if (in.one_in(4)) options.mask = fuzz::sieve(in.bits<std::uint32_t>(), small_vocabulary);
  for (std::size_t i = in.one_in(4) ? in.below(3) : 0; i > 0; --i) options.stop_sequences.push_back(any_tokens(in, 3));
  for (std::size_t i = in.one_in(4) ? in.below(3) : 0; i > 0; --i) {
    options.stop_texts.push_back(in.one_in(4) ? in.text(in.below(3)) : fuzz::text_of(fuzz::tokens_of(in, 1, 2)));
  }
  if (!in.one_in(8)) options.detokenize = fuzz::detokenize;
  options.log_probabilities = static_cast<log_probability_of>(in.below(3));
  options.top_log_probabilities = in.one_in(4) ? any_count(in, small_vocabulary + 2) : 0;
  return options;
}

bool in_vocabulary(const std::vector<token_id>& tokens) {
  return std::all_of(tokens.begin(), tokens.end(),
                     [](token_id token) { return token >= 0 && static_cast<std::size_t>(token) < small_vocabulary; });
}

/// Whether the options are such as options.hpp allows.
bool allowed(const generate_options& options) {
  bool all = fuzz::allowed(options.sampling, small_vocabulary) && in_vocabulary(options.end_tokens);
  for (const auto& stop : options.stop_sequences) all = all && !stop.empty() && in_vocabulary(stop);
  for (const auto& stop : options.stop_texts) all = all && !stop.empty() && options.detokenize;
  all = all && options.top_log_probabilities <= small_vocabulary;
  return all && (options.top_log_probabilities == 0 || options.log_probabilities != log_probability_of::nothing);
}

/// The rule that `make` makes, which is to be refused unless its numbers are sound.
template <class Make>
std::optional<rule> made_if(bool sound, Make&& make) {
  const auto held = fuzz::made<std::invalid_argument>(make);
  require((held != nullptr) == sound, "numbers out of range are refused, no others are");
  return held ? std::optional<rule>(*held) : std::nullopt;
}

/// A rule, or nothing if there is none with these numbers.
std::optional<rule> any_rule_of_numbers(input& in) {
  if (in.below(2) == 0) return fuzz::any_rule(in);
  const double first = in.below(2) == 0 ? fuzz::any_real(in) : static_cast<double>(in.below(20)) / 16;
  const double second = in.below(2) == 0 ? fuzz::any_real(in) : static_cast<double>(in.below(20)) / 16;
  switch (in.below(3)) {
    case 0:
      return made_if(first > 0 && first <= 1, [&] { return specdec::lenient(first); });
    case 1:
      return made_if(first >= 0 && first < 1 && second >= 0,
                     [&] { return specdec::typical_acceptance(first, second); });
    default:
      return made_if(first >= 0, [&] { return specdec::big_little(first); });
  }
}

/// Whether the text keeps to the options.
void check_text(const text_session& session, const generate_options& options) {
  const auto is_end = [&](token_id token) {
    return std::find(options.end_tokens.begin(), options.end_tokens.end(), token) != options.end_tokens.end();
  };
  const auto text = session.generated();
  require(text.size() <= options.max_tokens, "a text has no more tokens than were asked for");
  specdec::any_mask mask = options.mask;
  for (std::size_t i = 0; i < text.size(); ++i) {
    require(mask.empty() || mask.allows(text[i]), "the mask allows every token");
    if (!mask.empty()) mask.advance(text[i]);
    require(!is_end(text[i]) || i >= options.min_tokens, "no text ends too early");
    require(!is_end(text[i]) || i + 1 == text.size(), "nor goes on behind an end token");
    for (const auto& bias : options.sampling.bias) {
      require(bias.token != text[i] || bias.amount > -std::numeric_limits<double>::infinity(),
              "a bias of -inf forbids a token");
    }
  }
  const bool ended = session.status() == session_status::end_token;
  require(ended || session.status() == session_status::stop_sequence || session.status() == session_status::stop_text ||
              text.empty() || !is_end(text.back()),
          "an end token ends the text");
  if (ended) require(is_end(text.back()), "and nothing else is called one");
  if (session.status() == session_status::stop_sequence) {
    const std::vector<token_id>& stop = options.stop_sequences[session.stop_index()];
    require(stop.size() <= text.size() && std::equal(stop.rbegin(), stop.rend(), text.rbegin()),
            "the stop sequence named is that at the end");
  }
  if (session.status() == session_status::stop_text) {
    require(fuzz::text_of(text).find(options.stop_texts[session.stop_index()]) != std::string::npos,
            "the stop text named is in the text");
  }
}

void generate(input& in, const generate_options& options, const rule& with) {
  fuzz::led_session led(in, options, with);
  text_session& session = led.session();
  session.begin(fuzz::tokens_of(in, 1, 4));
  for (std::size_t rounds = 0; session.running() && rounds < 16; ++rounds) {
    if (!led.plan()) continue;
    const fuzz::rows scored(session.tokens(), led.drafted());
    const specdec::verdict v = session.verify(scored.view());
    require(v.fault == specdec::row_fault::none || v.fault == specdec::row_fault::nothing_allowed, "rows are sound");
    led.commit(v);
    check(session);
    check_text(session, options);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in({data, size});
  const std::optional<rule> with = any_rule_of_numbers(in);
  if (!with) return 0;
  const generate_options options = any_options(in);
  const bool usable = allowed(options);
  const auto make = [&](std::size_t vocab_size) { static_cast<void>(text_session(vocab_size, options, *with)); };
  require(refused<std::invalid_argument>([&] { make(small_vocabulary); }) == !usable,
          "options out of range are refused, no others are");
  require(refused<std::invalid_argument>([&] { make(0); }), "a vocabulary has tokens");
  if (usable) generate(in, options, *with);
  return 0;
}

// Many, since what comes first decides most, and mutations change little of it.
std::vector<fuzz::bytes> fuzz::seeds() { return noises(1000, 160); }
