// Sessions, whatever is done with them: rounds of any drafts, verdicts from elsewhere, stops, turns, forks, and
// snapshots taken, changed and restored. Misuse is refused as documented and changes nothing; whatever is taken runs to
// its end.

#include <cmath>
#include <optional>
#include <specdec/specdec.hpp>
#include <stdexcept>

#include "fuzz.hpp"

namespace {

using fuzz::input;
using fuzz::refused;
using fuzz::require;
using specdec::generate_options;
using specdec::node_id;
using specdec::session_status;
using specdec::token_id;

using rule = specdec::any_lossy_verifier<>;
using text_session = specdec::session<rule>;

constexpr std::size_t vocab_size = 12;

/// The bytes of a token: letters that stops can run into, and nothing for some.
void detokenize(token_id token, std::string& text) {
  constexpr const char* pieces[vocab_size] = {"", "a", "b", "ab", "ba", "aa", "c", "abc", "", "\xc3", "\xa9", "d"};
  text += pieces[token];
}

std::string text_of(std::span<const token_id> tokens) {
  std::string text;
  for (const token_id token : tokens) detokenize(token, text);
  return text;
}

rule any_rule(input& in) {
  switch (in.below(10)) {
    case 1:
      return specdec::block_verification();
    case 2:
      return specdec::coupled();
    case 3:
      return specdec::greedy();
    case 4:
      return specdec::naive_sampling();
    case 5:
      return specdec::recursive_rejection();
    case 6:
      return specdec::traversal();
    case 7:
      return specdec::k_seq();
    case 8:
      return specdec::typical_acceptance();
    case 9:
      return specdec::big_little(1.0);
    default:
      return specdec::rejection();
  }
}

std::vector<token_id> tokens_of(input& in, std::size_t least, std::size_t most) {
  std::vector<token_id> tokens(in.between(least, most));
  for (token_id& token : tokens) token = static_cast<token_id>(in.below(vocab_size));
  return tokens;
}

generate_options any_options(input& in) {
  generate_options options{.max_tokens = in.below(24)};
  constexpr double temperatures[] = {1, 0, 0.7, 3};
  options.sampling.temperature = temperatures[in.below(4)];
  options.sampling.top_k = in.below(8) > 5 ? in.below(vocab_size) : 0;
  if (in.one_in(4)) options.sampling.repetition_penalty = 1.3;
  if (in.one_in(4)) options.end_tokens = tokens_of(in, 1, 2);
  options.min_tokens = in.one_in(4) ? in.below(8) : 0;
  options.seed = in.bits<std::uint8_t>();
  options.detokenize = detokenize;
  for (std::size_t i = in.below(8) > 2 ? in.below(3) : 0; i > 0; --i) {
    options.stop_sequences.push_back(tokens_of(in, 1, 3));
  }
  constexpr const char* texts[] = {"ab", "aba", "bb", "\xc3\xa9", "cd", "abcabc"};
  for (std::size_t i = in.below(8) > 2 ? in.below(3) : 0; i > 0; --i) options.stop_texts.push_back(texts[in.below(6)]);
  options.top_log_probabilities = in.below(3);
  if (in.one_in(4)) options.log_probabilities = specdec::log_probability_of::model;
  return options;
}

/// A target's rows behind every node: a pure function of the text before.
class rows {
 public:
  rows(std::span<const token_id> text, const specdec::draft& drafted, std::optional<std::size_t> at_fault) {
    for (node_id node = 0; node <= drafted.size(); ++node) {
      std::uint64_t hash = text.size() + drafted.depth(node);
      hash = fuzz::mixed(hash * 31 + static_cast<std::uint64_t>(node == 0 ? text.back() : drafted.token(node)));
      for (std::size_t t = 0; t < vocab_size; ++t) {
        logits_.push_back(static_cast<float>(fuzz::mixed(hash + t) % 64) / 8);
      }
    }
    if (at_fault && *at_fault < logits_.size()) logits_[*at_fault] = std::numeric_limits<float>::quiet_NaN();
  }
  [[nodiscard]] specdec::logits_view<float> view() const {
    return {logits_.data(), logits_.size() / vocab_size, vocab_size};
  }

 private:
  std::vector<float> logits_;
};

/// What must hold of a session between any two calls.
void check(const text_session& session) {
  const auto text = session.tokens();
  require(session.prompt_size() <= text.size() && session.prompt_size() > 0, "the prompt is part of the text");
  require(session.delivered() + session.waiting().size() == session.generated().size(),
          "what was generated was delivered, or waits");
  require(session.generated().size() <= session.options().max_tokens || !session.running(), "a running text has room");
  require(session.status() != session_status::idle, "there is a text");
}

class explorer {
 public:
  explorer(input& in, const generate_options& options, rule with) : in_(in), session_(vocab_size, options, with) {}

  void explore() {
    std::vector<token_id> prompt = tokens_of(in_, 0, 4);
    if (in_.one_in(16)) prompt.push_back(in_.bits<token_id>());
    bool sound = !prompt.empty();
    for (const token_id token : prompt) sound = sound && token >= 0 && static_cast<std::size_t>(token) < vocab_size;
    require(refused<std::invalid_argument>([&] { session_.begin(prompt); }) == !sound,
            "bad prompts are refused, no others");
    if (!sound) {
      require(session_.status() == session_status::idle, "a refused prompt changes nothing");
      return;
    }
    for (std::size_t acts = 0; acts < 24 && !in_.empty(); ++acts) {
      act();
      check(session_);
    }
    finish();
  }

 private:
  void act() {
    switch (in_.below(16)) {
      case 0:
        session_.stop();
        break;
      case 1:
        session_.resume();
        break;
      case 2:
        go_on();
        break;
      case 3:
        go_back();
        break;
      case 4:
        session_ = session_.fork(static_cast<std::uint32_t>(in_.below(4)));
        break;
      case 5:
        session_.limit(in_.one_in(2) ? session_.tokens().size() + in_.below(6) : ~std::size_t{0});
        break;
      case 6:
        save_and_restore();
        break;
      case 7:
      case 8:
        restore_changed();
        break;
      case 9:
        restore_anything();
        break;
      case 10:
        restore_other_state();
        break;
      default:
        if (session_.running()) round();
    }
  }

  void go_on() {
    std::vector<token_id> further = tokens_of(in_, 0, 3);
    if (in_.one_in(8)) further.push_back(in_.bits<token_id>());
    const std::vector<std::byte> before = session_.snapshot();
    try {
      session_.append(further);
    } catch (const std::logic_error&) {
      // Tokens outside the vocabulary, or more than the limit: both are logic errors.
      require(session_.snapshot() == before, "a refused turn changes nothing");
    }
  }

  void go_back() {
    const std::size_t size = in_.below(session_.tokens().size() + 2);
    const bool sound = size > 0 && size <= session_.tokens().size();
    require(refused<std::invalid_argument>([&] { session_.rewind(size); }) == !sound,
            "there is nothing behind the text");
  }

  void draft(const specdec::draft_request& request) {
    drafted_.begin(request);
    // Tokens and depths that were not asked for, now and then.
    const std::size_t over = in_.one_in(32) ? 2 : vocab_size;
    for (std::size_t steps = in_.below(6); steps > 0; --steps) {
      const auto parent = static_cast<node_id>(in_.below(8) < 5 ? drafted_.size() : in_.below(drafted_.size() + 1));
      const bool bold = in_.one_in(32);
      if (!bold && (drafted_.depth(parent) >= request.max_depth || drafted_.size() >= request.max_nodes)) continue;
      if (in_.below(2) == 0) {
        const auto token = static_cast<token_id>(in_.below(over));
        drafted_.extend(parent, specdec::proposal::point_mass(over, token), session_.chance());
      } else {
        float weights[vocab_size];
        for (float& weight : weights) weight = static_cast<float>(1 + in_.below(8));
        drafted_.extend(parent, specdec::proposal::dense(std::span(weights).first(over)), session_.chance());
      }
    }
  }

  void round() {
    const specdec::draft_request request = session_.request();
    draft(request);
    bool fits = drafted_.max_depth() <= request.max_depth && drafted_.size() <= request.max_nodes;
    for (node_id node = 1; node <= drafted_.size(); ++node) {
      fits = fits && drafted_.law_of(node).vocab_size() == vocab_size;
    }
    specdec::decode_plan plan;
    const std::size_t held = in_.below(session_.tokens().size() + 2);
    require(refused<std::invalid_argument>([&] { plan = session_.plan(drafted_, held); }) == !fits,
            "a draft that was not asked for is refused, no other is");
    if (!fits) return;
    require(plan.rows == drafted_.size() + 1 && plan.held < session_.tokens().size(), "a plan feeds a token at least");
    require(plan.held + plan.tokens.size() == session_.tokens().size() + drafted_.size(), "and all that is lacking");
    require(plan.tree == !drafted_.is_chain(), "it says whether the draft branches");
    specdec::verdict v;
    if (in_.one_in(8)) {
      if (!adopt(v)) return;
    } else {
      const std::size_t logits = plan.rows * vocab_size;
      const rows scored(session_.tokens(), drafted_, in_.one_in(16) ? std::optional(in_.below(logits)) : std::nullopt);
      v = session_.verify(scored.view());
      if (in_.one_in(8)) return;  // the round is abandoned
    }
    commit(v);
  }

  /// A verdict from elsewhere, with any nodes and tokens.
  [[nodiscard]] bool adopt(specdec::verdict& v) {
    v.kept = static_cast<node_id>(in_.below(drafted_.size() + 2));
    v.next = in_.one_in(8) ? in_.bits<token_id>() : static_cast<token_id>(in_.below(vocab_size));
    if (in_.one_in(8)) {
      v.fault = specdec::row_fault::nan;
      v.faulty_row = static_cast<node_id>(in_.below(drafted_.size() + 2));
    }
    const bool failed = v.fault != specdec::row_fault::none;
    const bool sound = failed
                           ? v.faulty_row <= drafted_.size()
                           : v.kept <= drafted_.size() && v.next >= 0 && static_cast<std::size_t>(v.next) < vocab_size;
    require(refused<std::invalid_argument>([&] { v = session_.adopt(v); }) == !sound,
            "a verdict on another draft is refused, no other is");
    return sound;
  }

  void commit(const specdec::verdict& v) {
    const std::vector<token_id> before(session_.tokens().begin(), session_.tokens().end());
    const std::size_t delivered = session_.delivered();
    const specdec::outcome out = session_.commit(v);
    require(session_.tokens().size() == before.size() + out.committed, "the text grows by what is committed");
    require(std::equal(before.begin(), before.end(), session_.tokens().begin()), "what is committed is final");
    require((v.fault != specdec::row_fault::none) == (session_.status() == session_status::failed),
            "a fault, and nothing else, is a failure");
    require(out.status == session_.status() && out.accepted == out.path.size(), "an outcome says what became of it");
    require(session_.delivered() == delivered + out.tokens.size(), "what is handed on is delivered");
    for (std::size_t i = 0; i < out.tokens.size(); ++i) {
      require(out.tokens[i].id == session_.generated()[delivered + i], "in order");
      require(restored_ || !(out.tokens[i].log_probability > 1e-6), "a log-probability is not positive");
    }
    const std::string whole = text_of(session_.generated().subspan(delivered));
    require(whole.starts_with(out.text), "the text handed on is that of the tokens");
  }

  void save_and_restore() {
    const std::vector<std::byte> saved = session_.snapshot();
    text_session restored = session_;
    restored.begin(std::vector<token_id>{0});
    restored.restore(saved);
    require(std::equal(restored.tokens().begin(), restored.tokens().end(), session_.tokens().begin(),
                       session_.tokens().end()) &&
                restored.delivered() == session_.delivered() && restored.prompt_size() == session_.prompt_size(),
            "a snapshot holds the text, and what was delivered of it");
    session_ = std::move(restored);
  }

  /// Restores bytes that may be no snapshot: they are taken, or refused and change nothing.
  void restore(const std::vector<std::byte>& bytes) {
    const std::vector<std::byte> before = session_.snapshot();
    if (refused<std::invalid_argument>([&] { session_.restore(bytes); })) {
      require(session_.snapshot() == before, "a refused snapshot changes nothing");
      return;
    }
    restored_ = true;
    // What was taken is what a session can be in: it can be saved, and restored to the same.
    const std::vector<std::byte> taken = session_.snapshot();
    text_session again = session_;
    again.restore(taken);
    require(again.snapshot() == taken, "what was restored can be saved and restored");
    require(!specdec::to_json(session_.stats()).empty(), "and told");
    if (session_.status() == session_status::idle) session_.begin(std::vector<token_id>{1});
  }

  static void seal(std::vector<std::byte>& body) {
    std::uint64_t sum = specdec::snapshot_format::checksum(body);
    for (int i = 0; i < 8; ++i, sum >>= 8) body.push_back(static_cast<std::byte>(sum & 0xFF));
  }

  /// A snapshot with some of its bytes changed, and the checksum that fits them.
  void restore_changed() {
    std::vector<std::byte> body = session_.snapshot();
    body.resize(body.size() - 8);
    constexpr std::size_t header = 40;  // magic, format, vocabulary, seed, stream and settings
    for (std::size_t changes = in_.between(1, 3); changes > 0; --changes) {
      const bool anywhere = in_.one_in(8);
      const std::size_t at = anywhere ? in_.below(body.size()) : header + in_.below(body.size() - header);
      switch (in_.below(4)) {
        case 0:
          body[at] = static_cast<std::byte>(in_.bits<std::uint8_t>());
          break;
        case 1:
          body[at] ^= static_cast<std::byte>(1U << in_.below(8));
          break;
        case 2: {
          const auto number = in_.bits<std::uint64_t>();
          std::memcpy(&body[at], &number, std::min(sizeof number, body.size() - at));
          break;
        }
        default:
          if (in_.below(2) == 0) {
            body.insert(body.begin() + static_cast<std::ptrdiff_t>(at), std::byte(in_.below(3)));
          } else if (body.size() > header + 8) {
            body.erase(body.begin() + static_cast<std::ptrdiff_t>(at));
          }
      }
    }
    seal(body);
    restore(body);
  }

  /// A snapshot of a state with some of its parts changed, which may then contradict each other.
  void restore_other_state() {
    const generate_options& options = session_.options();
    specdec::session_state state = specdec::from_bytes(session_.snapshot(), vocab_size, options);
    for (std::size_t changes = in_.between(1, 2); changes > 0; --changes) {
      switch (in_.below(10)) {
        case 0:
          state.prompt_size += in_.below(5) - 2;
          break;
        case 1:
          state.status = static_cast<session_status>(in_.below(11));
          break;
        case 2:
          state.fault = static_cast<specdec::row_fault>(in_.below(8));
          break;
        case 3:
          state.stop_index = in_.below(4);
          break;
        case 4:
          state.committed.push_back(static_cast<token_id>(in_.below(vocab_size + 1)));
          break;
        case 5:
          if (!state.committed.empty()) state.committed.pop_back();
          break;
        case 6: {
          const std::size_t from_end = state.waiting.size() + 1;
          const bool is_there = from_end <= state.committed.size();
          const token_id before = is_there ? state.committed[state.committed.size() - from_end] : 0;
          state.waiting.insert(state.waiting.begin(), {.id = before});
          state.waiting_top.resize(state.waiting.size() * options.top_log_probabilities);
          break;
        }
        case 7:
          if (!state.waiting.empty()) state.waiting.erase(state.waiting.begin());
          break;
        case 8:
          state.waiting_top.resize(in_.below(6));
          break;
        default:
          state.stats.rounds += in_.below(3);
          state.stats.accepted_at.resize(in_.below(4));
      }
    }
    restore(specdec::to_bytes(state, vocab_size, options));
  }

  /// The header of a snapshot with anything behind it, or any bytes at all.
  void restore_anything() {
    std::vector<std::byte> body = session_.snapshot();
    body.resize(in_.below(4) == 0 ? 0 : 40);
    for (const std::uint8_t byte : in_.take(in_.below(64))) body.push_back(static_cast<std::byte>(byte));
    if (in_.below(4) != 0) seal(body);
    restore(body);
  }

  /// Runs to the end without a draft.
  void finish() {
    session_.limit(~std::size_t{0});
    session_.resume();
    specdec::draft nothing;
    const std::size_t most = session_.options().max_tokens;
    for (std::size_t rounds = 0; session_.running(); ++rounds) {
      require(rounds <= most, "a text ends");
      nothing.begin(session_.request());
      static_cast<void>(session_.plan(nothing, 0));
      const rows scored(session_.tokens(), nothing, std::nullopt);
      drafted_ = nothing;
      const specdec::verdict v = session_.verify(scored.view());
      require(v.fault == specdec::row_fault::none || v.fault == specdec::row_fault::nothing_allowed, "rows are sound");
      static_cast<void>(session_.commit(v));
      check(session_);
    }
  }

  input& in_;
  text_session session_;
  specdec::draft drafted_;
  bool restored_ = false;  ///< from bytes whose log-probabilities may be any numbers
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input in({data, size});
  const rule with = any_rule(in);
  const generate_options options = any_options(in);
  explorer(in, options, with).explore();
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() { return noises(48, 200); }
