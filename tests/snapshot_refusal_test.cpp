// What is not the snapshot of this session is refused, and leaves it as it was.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "plain_text.hpp"
#include "scenarios.hpp"

namespace {

using specdec::generate_options;
using specdec::outcome;
using specdec::session_state;
using specdec::session_status;
using specdec::token_id;

using text_session = specdec::session<>;
using bytes = std::vector<std::byte>;

/// A session in the middle of its text, to see that a refusal leaves it as it was.
class refusal : public testing::Test {
 protected:
  refusal() {
    options_.max_tokens = 20;
    text_ = plain::begun_with(options_);
    auto target = scenarios::target_model;
    scenarios::guesser drafter;
    speculative_generate(text_, target, drafter, [this](const outcome&) { return text_.waiting().empty(); });
    good_ = text_.snapshot();
  }

  /// What restoring the bytes is refused with; "" if they are taken.
  std::string refused(std::span<const std::byte> from) {
    std::string why;
    try {
      text_.restore(from);
    } catch (const std::invalid_argument& error) {
      why = error.what();
    }
    EXPECT_EQ(text_.snapshot(), good_) << why;
    return why;
  }

  std::string refused(const session_state& state) {
    return refused(specdec::to_bytes(state, scenarios::vocab_size, options_));
  }

  [[nodiscard]] session_state state() const { return specdec::from_bytes(good_, scenarios::vocab_size, options_); }

  /// The bytes, less the checksum, with one that fits.
  static bytes sealed(bytes body) {
    specdec::snapshot_format::writer sum;
    sum(specdec::snapshot_format::checksum(body));
    body.insert(body.end(), sum.bytes().begin(), sum.bytes().end());
    return body;
  }
  [[nodiscard]] bytes body() const { return {good_.begin(), good_.end() - 8}; }

  generate_options options_ = scenarios::options_of(scenarios::setting::bounded);
  text_session text_{scenarios::vocab_size, options_};
  bytes good_;
};

TEST_F(refusal, of_bytes_that_are_no_snapshot_or_damaged) {
  ASSERT_FALSE(text_.waiting().empty());
  EXPECT_EQ(refused(good_), "");
  EXPECT_EQ(refused(bytes(100)), "specdec: expected the bytes of a session's snapshot; these begin otherwise");
  EXPECT_EQ(refused(bytes()), "specdec: expected 8 more bytes in the snapshot; it has 0");
  for (std::size_t size = 0; size < good_.size(); ++size) {
    ASSERT_NE(refused(std::span(good_).first(size)), "") << size;
  }
  for (std::size_t bit = 0; bit < 8 * good_.size(); ++bit) {
    bytes flipped = good_;
    flipped[bit / 8] ^= std::byte{1} << bit % 8;
    ASSERT_NE(refused(flipped), "") << bit;
  }
  bytes flipped = good_;
  flipped[60] ^= std::byte{1};
  EXPECT_EQ(refused(flipped), "specdec: the snapshot is damaged: its checksum is wrong");
  bytes longer = good_;
  longer.push_back({});
  EXPECT_NE(refused(longer), "");
}

TEST_F(refusal, of_a_body_of_another_length_though_the_checksum_fits) {
  for (std::size_t size = 0; size < body().size(); ++size) {
    bytes cut = body();
    cut.resize(size);
    ASSERT_NE(refused(sealed(cut)), "") << size;
  }
  bytes longer = body();
  longer.push_back({});
  EXPECT_EQ(refused(sealed(longer)), "specdec: the snapshot is longer than what it holds");
}

TEST_F(refusal, of_lists_that_claim_to_be_huge) {
  // Wherever a length stands: a number that no memory could hold is refused before memory is asked for.
  for (const std::uint64_t huge : {~std::uint64_t{0}, std::uint64_t{1} << 63, std::uint64_t{1} << 40}) {
    for (std::size_t at = 40; at + 8 <= body().size(); ++at) {
      bytes changed = body();
      for (std::size_t i = 0; i < 8; ++i) changed[at + i] = static_cast<std::byte>(huge >> 8 * i & 0xff);
      text_session text(scenarios::vocab_size, options_);
      try {
        text.restore(sealed(changed));
      } catch (const std::invalid_argument&) {
        EXPECT_EQ(text.status(), session_status::idle);
      }
    }
  }
}

TEST_F(refusal, of_the_snapshot_of_another_generation) {
  const auto with = [this](auto change) {
    generate_options other = options_;
    change(other);
    return refused(text_session(scenarios::vocab_size, other).snapshot());
  };
  EXPECT_EQ(refused(text_session(70, {}).snapshot()),
            "specdec: expected a snapshot with a vocabulary of 72; it has 70");
  EXPECT_EQ(with([](auto& o) { o.seed = 5; }), "specdec: expected a snapshot with seed 11; it has 5");
  EXPECT_EQ(with([](auto& o) { o.stream = 5; }), "specdec: expected a snapshot with stream 3; it has 5");
  const std::string settings =
      "specdec: the snapshot was taken with other sampling parameters, end tokens, min_tokens, mask or "
      "top_log_probabilities";
  EXPECT_EQ(with([](auto& o) { o.sampling.temperature = 0.9; }), settings);
  EXPECT_EQ(with([](auto& o) { o.sampling.top_k = 5; }), settings);
  EXPECT_EQ(with([](auto& o) { o.sampling.top_p = 0.5; }), settings);
  EXPECT_EQ(with([](auto& o) { o.sampling.min_p = 0.1; }), settings);
  EXPECT_EQ(with([](auto& o) { o.sampling.order = specdec::filter_order::llama_cpp; }), settings);
  EXPECT_EQ(with([](auto& o) { o.sampling.repetition_penalty = 1.1; }), settings);
  EXPECT_EQ(with([](auto& o) { o.sampling.frequency_penalty = 1; }), settings);
  EXPECT_EQ(with([](auto& o) { o.sampling.presence_penalty = 1; }), settings);
  EXPECT_EQ(with([](auto& o) { o.sampling.penalty_window = 1; }), settings);
  EXPECT_EQ(with([](auto& o) { o.sampling.penalize_prompt = false; }), settings);
  EXPECT_EQ(with([](auto& o) { o.sampling.bias = {{1, 1.0}}; }), settings);
  EXPECT_EQ(with([](auto& o) { o.min_tokens = 1; }), settings);
  EXPECT_EQ(with([](auto& o) { o.end_tokens = {1}; }), settings);
  EXPECT_EQ(with([](auto& o) { o.top_log_probabilities = 1; }), settings);
  EXPECT_EQ(with([](auto& o) { o.mask = {}; }), settings);
}

TEST_F(refusal, of_a_state_that_contradicts_itself) {
  const auto with = [this](auto change) {
    session_state changed = state();
    change(changed);
    const std::string why = refused(changed);
    const std::string begin = "specdec: the snapshot contradicts itself: ";
    return why.starts_with(begin) ? why.substr(begin.size()) : why;
  };
  EXPECT_EQ(with([](auto&) {}), "");
  const std::string text = "its text has a token outside the vocabulary";
  EXPECT_EQ(with([](auto& s) { s.committed[1] = 72; }), text);
  EXPECT_EQ(with([](auto& s) { s.committed[1] = -1; }), text);
  const std::string idle = "only an idle session has no text";
  EXPECT_EQ(with([](auto& s) { s.committed.clear(); }), idle);
  EXPECT_EQ(with([](auto& s) { s.status = session_status::idle; }), idle);
  EXPECT_EQ(with([](auto& s) { s.status = static_cast<session_status>(9); }), "it has an unknown status");
  const std::string prompt = "its prompt is no part of its text";
  EXPECT_EQ(with([](auto& s) { s.prompt_size = 0; }), prompt);
  EXPECT_EQ(with([](auto& s) { s.prompt_size = s.committed.size() + 1; }), prompt);
  EXPECT_EQ(with([](auto& s) { s.prompt_size = std::numeric_limits<std::size_t>::max(); }), prompt);
  EXPECT_EQ(with([](auto& s) { s.fault = static_cast<specdec::row_fault>(200); }), "it has an unknown fault");
  const std::string fault = "only a session that failed has a fault";
  EXPECT_EQ(with([](auto& s) { s.fault = specdec::row_fault::nan; }), fault);
  EXPECT_EQ(with([](auto& s) { s.status = session_status::failed; }), fault);
  EXPECT_EQ(with([](auto& s) { --s.round; }), "its counts are of other rounds");
  EXPECT_EQ(with([](auto& s) { s.stats.accepted_at.push_back(1); }), "its counts are of several depths");
  const std::string more = "it counts more tokens as accepted than as evaluated, or as evaluated than as proposed";
  EXPECT_EQ(with([](auto& s) { s.stats.accepted = s.stats.evaluated + 1; }), more);
  EXPECT_EQ(with([](auto& s) { s.stats.proposed = s.stats.evaluated - 1; }), more);
  const std::string rounds = "its rounds cannot have brought so many tokens";
  EXPECT_EQ(with([](auto& s) { s.stats.rounds = s.round = 0; }), rounds);
  EXPECT_EQ(with([](auto& s) { s.stats.rounds = s.round = 1000; }), rounds);
  EXPECT_EQ(with([](auto& s) { ++s.stats.cut; }), "its counts of emitted tokens differ");
  EXPECT_EQ(with([](auto& s) { --s.prompt_size; }), "it has more generated tokens than it counts");
  EXPECT_EQ(with([](auto& s) { s.stats.residual_fallbacks = s.stats.rounds + 1; }),
            "it counts more residuals than rounds");
  const std::string sums = "its counts by depth have other sums";
  EXPECT_EQ(with([](auto& s) { ++s.stats.evaluated_at[0]; }), sums);
  EXPECT_EQ(with([](auto& s) { --s.stats.accepted_at[0]; }), sums);
  EXPECT_EQ(with([](auto& s) {
              for (auto* counts : {&s.stats.evaluated_at, &s.stats.accepted_at}) {
                (*counts)[0] += std::uint64_t{1} << 63;  // which twice is nothing
                (*counts)[1] += std::uint64_t{1} << 63;
              }
            }),
            sums);
  EXPECT_EQ(with([](auto& s) { s.stats.proposed = std::uint64_t{1} << 63; }), "it counts more than can be");
  // Twenty rounds, with these counts by depth.
  const auto counted = [&with](std::vector<std::uint64_t> evaluated, std::vector<std::uint64_t> accepted, int behind) {
    return with([&](auto& s) {
      s.stats.rounds = s.round = 20;
      s.stats.evaluated = s.stats.proposed = std::accumulate(evaluated.begin(), evaluated.end(), std::uint64_t{0});
      s.stats.accepted = std::accumulate(accepted.begin(), accepted.end(), std::uint64_t{0});
      s.stats.delivered = s.stats.emitted = s.stats.accepted + 20 - static_cast<std::uint64_t>(behind);
      s.stats.cut = 0;
      s.stats.evaluated_at = std::move(evaluated);
      s.stats.accepted_at = std::move(accepted);
    });
  };
  EXPECT_EQ(counted({20, 15, 9}, {15, 10, 9}, 21), rounds);
  const std::string depths = "it counts more tokens at a depth than were reached";
  EXPECT_EQ(counted({21, 15, 9}, {15, 10, 9}, 0), depths);
  EXPECT_EQ(counted({20, 16, 9}, {15, 10, 9}, 0), depths);
  EXPECT_EQ(counted({20, 15, 9}, {15, 9, 10}, 0), depths);
  const auto failed_at = [&with](auto place) {
    return with([place](auto& s) {
      s.status = session_status::failed;
      s.fault = specdec::row_fault::nan;
      s.faulty_position = place(s);
    });
  };
  const std::string misplaced = "its fault is not behind its text";
  EXPECT_EQ(failed_at([](auto& s) { return s.committed.size() - 1; }), misplaced);
  EXPECT_EQ(failed_at([](auto& s) { return s.committed.size() + s.stats.evaluated_at.size() + 1; }), misplaced);
  EXPECT_EQ(with([](auto& s) { s.status = session_status::end_token; }), "there is no end token where its text ended");
  EXPECT_EQ(with([](auto& s) { s.prompt_size = s.committed.size(); }), "more tokens wait than were generated");
  EXPECT_EQ(with([](auto& s) { s.waiting[0].id ^= 1; }), "the tokens that wait are not the last of its text");
  EXPECT_EQ(with([](auto& s) { s.waiting[0].origin = static_cast<specdec::provenance>(2); }),
            "a token is of unknown origin");
  EXPECT_EQ(with([](auto& s) { s.waiting_top.pop_back(); }), "it has candidates for another number of tokens");
  const std::string candidate = "a candidate is outside the vocabulary";
  EXPECT_EQ(with([](auto& s) { s.waiting_top[0].id = 72; }), candidate);
  EXPECT_EQ(with([](auto& s) { s.waiting_top[0].id = -2; }), candidate);
  EXPECT_EQ(with([](auto& s) {
              s.status = session_status::stop_text;
              s.stop_index = 4;
            }),
            "specdec: the snapshot's text ended at stop_text 4; the options have 4");
  EXPECT_EQ(with([](auto& s) {
              s.status = session_status::stop_sequence;
              s.stop_index = std::numeric_limits<std::size_t>::max();
            }),
            "specdec: the snapshot's text ended at stop_sequence 18446744073709551615; the options have 20");
}

/// The state of a session that runs, and has generated all tokens but the first, each in a round of its own.
session_state generated_plainly(const std::vector<token_id>& text) {
  session_state state;
  state.committed = text;
  state.prompt_size = 1;
  state.round = static_cast<std::uint32_t>(text.size() - 1);
  state.status = session_status::running;
  state.stats.rounds = state.stats.emitted = state.stats.delivered = text.size() - 1;
  return state;
}

TEST_F(refusal, of_a_text_that_ended_at_a_stop_which_is_not_there) {
  for (const auto status : {session_status::stop_sequence, session_status::stop_text}) {
    session_state changed = state();
    changed.status = status;
    changed.stop_index = 1;
    EXPECT_EQ(refused(changed), "specdec: the snapshot's text ended at " + std::string(to_string(status)) +
                                    " 1; that of the options is not there");
  }
  // One that is there, under the number of another, or taken for a text.
  const generate_options options{
      .max_tokens = 9,
      .stop_sequences = {{70}, {7, 8}},
      .stop_texts = {"70"},
      .detokenize = [](token_id token, std::string& text) { text += std::to_string(token); }};
  session_state ended = generated_plainly({1, 7, 8});
  ended.status = session_status::stop_sequence;
  ended.stop_index = 1;
  ended.waiting = {{7}, {8}};
  const auto taken = [&] {
    text_session text(scenarios::vocab_size, options);
    try {
      text.restore(specdec::to_bytes(ended, scenarios::vocab_size, options));
    } catch (const std::invalid_argument&) {
      return false;
    }
    return text.status() == session_status::stop_sequence;
  };
  EXPECT_TRUE(taken());
  ended.stop_index = 0;
  EXPECT_FALSE(taken());
  ended.status = session_status::stop_text;
  EXPECT_FALSE(taken());
}

TEST_F(refusal, of_a_text_that_contradicts_its_end_tokens) {
  const generate_options options{.max_tokens = 9, .end_tokens = {3, 4}, .stop_sequences = {{7, 3}}};
  const auto refused_for = [&](auto change) {
    session_state changed = generated_plainly({3, 7, 8, 9});
    change(changed);
    text_session text(scenarios::vocab_size, options);
    try {
      text.restore(specdec::to_bytes(changed, scenarios::vocab_size, options));
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(text.status(), session_status::idle);
      return std::string(error.what());
    }
    EXPECT_EQ(text.status(), changed.status);
    return std::string();
  };
  EXPECT_EQ(refused_for([](auto&) {}), "") << "one in the prompt ends nothing";
  EXPECT_EQ(refused_for([](auto& s) {
              s.committed = {3, 7, 8, 4};
              s.status = session_status::end_token;
            }),
            "");
  EXPECT_EQ(refused_for([](auto& s) {
              s.committed = {3, 8, 7, 3};
              s.status = session_status::stop_sequence;
            }),
            "")
      << "a stop that ends with an end token comes first";
  const std::string begin = "specdec: the snapshot contradicts itself: ";
  EXPECT_EQ(refused_for([](auto& s) { s.committed = {3, 7, 4, 9}; }), begin + "its text goes on behind an end token");
  EXPECT_EQ(refused_for([](auto& s) { s.committed = {3, 7, 8, 4}; }), begin + "its text goes on behind an end token");
  EXPECT_EQ(refused_for([](auto& s) {
              s.committed = {3, 7, 4, 4};
              s.status = session_status::end_token;
            }),
            begin + "its text goes on behind an end token");
  EXPECT_EQ(refused_for([](auto& s) {
              s.prompt_size = 4;
              s.status = session_status::end_token;
            }),
            begin + "there is no end token where its text ended");
  EXPECT_EQ(refused_for([](auto& s) {
              s.committed = {3, 7, 8, 4};
              s.status = session_status::end_token;
              s.waiting = {{4}};
            }),
            begin + "tokens wait where nothing can follow");
}

}  // namespace
