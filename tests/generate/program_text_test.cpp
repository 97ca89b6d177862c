// The program `generate`: where its texts end, how many there are, and what it tells of them.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "program.hpp"

namespace {

using namespace generate_test;
using nlohmann::json;

class program_text : public program {
 protected:
  [[nodiscard]] json ask(const arguments& given) const {
    const answer got = run(with(given, {"--json"}));
    EXPECT_EQ(got.code, 0) << got.err;
    return json::parse(got.out);
  }
};

const arguments greedy{"-p", "Once upon a time", "-n", "40", "--temp", "0", "--no-baseline"};

TEST_F(program_text, ends_before_a_stop_text_wherever_rounds_and_tokens_break_it) {
  const std::string whole = ask(greedy).at("text");
  ASSERT_GT(whole.size(), 60U);
  for (const std::string gamma : {"0", "1", "5"}) {
    for (std::size_t at = 0; at + 12 < 60; at += 7) {
      for (const std::size_t size : {std::size_t{1}, std::size_t{4}, std::size_t{11}}) {
        const std::string stop = whole.substr(at, size);
        const std::string left = whole.substr(0, whole.find(stop));
        const arguments given = with(greedy, {"--gamma", gamma, "--stop", stop});
        const answer got = run(given);
        EXPECT_EQ(got.out, "Once upon a time" + left + "\n") << gamma << " '" << stop << "'";
        EXPECT_NE(got.err.find("stopped before \""), std::string::npos) << got.err;
      }
    }
  }
}

TEST_F(program_text, tells_of_a_stop_text_in_json) {
  const json whole = ask(greedy);
  const std::string text = whole.at("text");
  const std::string stop = text.substr(30, 9);
  const json got = ask(with(greedy, {"-r", "[a]", "--reverse-prompt", "{}", "--stop", stop, "-r", "%%"}));
  EXPECT_EQ(got.at("settings").at("stop_texts"), json({"[a]", "{}", stop, "%%"}));
  EXPECT_EQ(got.at("stop_reason"), "stop_text");
  EXPECT_EQ(got.at("stop_text"), stop);
  EXPECT_EQ(got.at("text"), text.substr(0, text.find(stop)));
  for (std::size_t i = 0; i < got.at("tokens").size(); ++i) {
    EXPECT_EQ(got.at("tokens")[i].at("id"), whole.at("tokens")[i].at("id"));
  }
  EXPECT_TRUE(whole.at("stop_text").is_null());

  const json first = ask(with(greedy, {"--stop", text.substr(40, 5), "--stop", text.substr(20, 5)}));
  EXPECT_EQ(first.at("stop_text"), text.substr(20, 5)) << "the one that comes first";
  expect_failure({"--stop", ""}, 2, {"--stop"});
}

TEST_F(program_text, measures_as_many_tokens_without_speculation) {
  arguments given = with(greedy, {"--min-tokens", "3"});
  given.erase(std::remove(given.begin(), given.end(), "--no-baseline"), given.end());
  const std::string text = ask(given).at("text");
  const json got = ask(with(given, {"--stop", text.substr(50, 4)}));
  const json& made = got.at("statistics");
  EXPECT_LT(made.at("delivered"), 40);
  EXPECT_EQ(got.at("baseline").at("statistics").at("delivered"), made.at("delivered"));
  EXPECT_EQ(got.at("baseline").at("statistics").at("rounds"), made.at("delivered"));
}

TEST_F(program_text, cannot_end_before_its_least_length) {
  const arguments given{"-p", "Once upon a time", "-n", "300", "--seed", "2", "--temp", "1", "--no-baseline"};
  const json free = ask(given);
  ASSERT_EQ(free.at("stop_reason"), "end_token") << "another seed must be found";
  const std::size_t size = free.at("tokens").size();
  const json longer = ask(with(given, {"--min-tokens", std::to_string(size + 20)}));
  EXPECT_GE(longer.at("tokens").size(), size + 20);
  EXPECT_EQ(longer.at("settings").at("min_tokens"), size + 20);
  const int end = free.at("tokens").back().at("id");
  for (std::size_t i = 0; i < size + 19; ++i) ASSERT_NE(longer.at("tokens")[i].at("id"), end);
  expect_failure({"--min-tokens", "-1"}, 2, {"--min-tokens", "'-1'"});
}

/// The quoted piece behind `sign` at `at`, which moves behind it.
std::string piece_behind(std::string_view line, std::size_t& at) {
  const std::size_t begin = line.find('"', at);
  std::size_t end = begin + 1;
  while (line[end] != '"') end += line[end] == '\\' ? 2 : 1;
  at = end + 1;
  return json::parse(line.substr(begin, at - begin));
}

TEST_F(program_text, traces_every_round_in_a_line) {
  for (const std::string gamma : {"0", "3"}) {
    const arguments given = with(quick, {"--gamma", gamma, "-n", "120", "--seed", "5"});
    const answer got = run(with(given, {"--trace"}));
    EXPECT_EQ(got.out, run(given).out);
    EXPECT_EQ(got.err.find('\x1b'), std::string::npos);
    const json told = ask(with(given, {"--trace"}));

    std::istringstream lines(got.err);
    std::string line, text;
    std::size_t rounds = 0, kept = 0;
    for (; std::getline(lines, line) && line.rfind("round ", 0) == 0; ++rounds) {
      EXPECT_EQ(line.rfind("round " + std::to_string(rounds + 1) + " ", 0), 0U) << line;
      std::size_t at = 0;
      for (std::size_t next = 0; (next = line.find("✓\"", at)) != std::string::npos; ++kept) {
        at = next;
        text += piece_behind(line, at);
      }
      const bool rejected = line.find("rejected: ", at) != std::string::npos;
      EXPECT_EQ(rejected, line.find("✗\"", at) != std::string::npos) << line;
      const std::string_view before = rejected ? "rejected: " : gamma == "0" ? "nothing drafted: " : "one more: ";
      at = line.find(before, at);
      ASSERT_NE(at, std::string::npos) << line;
      text += piece_behind(line, at);
    }
    EXPECT_EQ(text, told.at("text"));
    EXPECT_EQ(rounds, told.at("statistics").at("rounds"));
    EXPECT_EQ(kept, told.at("statistics").at("accepted"));
    EXPECT_NE(got.err.find(", as many as asked for (-n)\n"), std::string::npos);
  }
}

TEST_F(program_text, a_trace_never_breaks_the_text) {
  const std::string shown = run_on_terminal(with(quick, {"--trace", "--gamma", "3"}), nullptr);
  EXPECT_NE(shown.find("\x1b[32m✓\""), std::string::npos);
  EXPECT_NE(shown.find("\x1b[31m✗\""), std::string::npos);
  const std::size_t text = shown.find("Once upon a time");
  ASSERT_NE(text, std::string::npos);
  EXPECT_GT(text, shown.rfind("\nround ")) << "the text follows the rounds";
}

TEST_F(program_text, gives_several_samples) {
  const json one = ask(quick);
  const json got = ask(with(quick, {"--samples", "3"}));
  EXPECT_FALSE(got.contains("text"));
  EXPECT_TRUE(got.at("baseline").is_null());
  ASSERT_EQ(got.at("samples").size(), 3U);
  EXPECT_EQ(got.at("samples")[0].at("text"), one.at("text"));
  EXPECT_EQ(got.at("samples")[0].at("tokens"), one.at("tokens"));
  std::set<std::string> texts;
  std::size_t rounds = 0, delivered = 0;
  std::string expected;
  for (const json& sample : got.at("samples")) {
    expected += expected.empty() ? "" : "\n";
    expected += "=== sample " + std::to_string(texts.size() + 1) + " of 3 ===\n";
    expected += "Once upon a time" + sample.at("text").get<std::string>() + "\n";
    texts.insert(sample.at("text").get<std::string>());
    EXPECT_EQ(sample.at("stop_reason"), "max_tokens");
    rounds += sample.at("statistics").at("rounds").get<std::size_t>();
    delivered += sample.at("tokens").size();
  }
  EXPECT_EQ(texts.size(), 3U) << "each stream has noise of its own";
  EXPECT_EQ(got.at("statistics").at("rounds"), rounds);
  EXPECT_EQ(got.at("statistics").at("delivered"), delivered);

  arguments measured = with(quick, {"--samples", "3"});
  measured.erase(std::remove(measured.begin(), measured.end(), "--no-baseline"), measured.end());
  const answer shown = run(measured);
  EXPECT_EQ(shown.out, expected);
  EXPECT_NE(shown.err.find("3 samples, 72 tokens"), std::string::npos) << shown.err;
  EXPECT_EQ(shown.err.find("speed-up"), std::string::npos);

  EXPECT_EQ(ask(with(quick, {"--samples", "1"})).at("samples").size(), 1U);
  EXPECT_EQ(ask(with(quick, {"--samples", "3", "--gamma", "0"})).at("samples").size(), 3U);
  expect_failure({"--samples", "0"}, 2, {"--samples", "'0'"});
}

TEST_F(program_text, tells_the_likeliest_tokens) {
  const json law = ask(with(quick, {"--logprobs", "5"}));
  const json model = ask(with(quick, {"--logprobs", "5", "--logprobs-of", "model"}));
  EXPECT_EQ(law.at("text"), model.at("text"));
  EXPECT_EQ(model.at("settings").at("log_probabilities_of"), "model");
  for (const json& told : {law, model}) {
    for (const json& token : told.at("tokens")) {
      const json& likeliest = token.at("likeliest");
      ASSERT_GE(likeliest.size(), 1U);
      ASSERT_LE(likeliest.size(), 5U);
      double sum = 0, before = 0;
      for (const json& other : likeliest) {
        const double value = other.at("log_probability");
        EXPECT_LE(value, before);
        before = value;
        sum += std::exp(value);
        if (other.at("id") == token.at("id")) {
          EXPECT_EQ(value, token.at("log_probability"));
        }
        EXPECT_TRUE(other.at("text").is_string());
      }
      EXPECT_LE(sum, 1 + 1e-6);
    }
  }
  EXPECT_NE(law.at("tokens")[0].at("log_probability"), model.at("tokens")[0].at("log_probability"));
  EXPECT_FALSE(ask(quick).at("tokens")[0].contains("likeliest"));

  expect_failure({"--logprobs", "5"}, 2, {"--logprobs", "--json"});
  expect_failure({"--logprobs", "x", "--json"}, 2, {"--logprobs", "'x'"});
  expect_failure({"--logprobs-of", "draft", "--json"}, 2, {"--logprobs-of", "law", "'draft'"});
  expect_failure({"--logprobs", "5000", "--json"}, 1, {"4096", "5000"});
}

}  // namespace
