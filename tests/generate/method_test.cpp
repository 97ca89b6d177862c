#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "program.hpp"

namespace {

using namespace generate_test;

class methods : public program {
 protected:
  [[nodiscard]] nlohmann::json ask(const arguments& given) const {
    const answer got = run(with(given, {"--json"}));
    EXPECT_EQ(got.code, 0) << got.err;
    return nlohmann::json::parse(got.out, nullptr, false);
  }
};

const std::vector<std::string> lossless{"autoregressive", "rejection", "block",      "coupled",    "tree",
                                        "dynamic_tree",   "assisted",  "cost_model", "adaedl",     "prompt_lookup",
                                        "suffix",         "cascade",   "universal",  "translated", "ngram",
                                        "draft_verify",   "early_exit"};

TEST_F(methods, are_listed_with_their_papers) {
  const std::string help = run({"--help"}).out;
  for (const std::string& name : lossless) EXPECT_NE(help.find("\n  " + name + " "), std::string::npos) << name;
  for (const char* paper : {"Leviathan", "Chen", "Gante", "Saxena", "Kim et al.", "Zhang et al.", "Agrawal et al."}) {
    EXPECT_NE(help.find(paper), std::string::npos) << paper;
  }
}

TEST_F(methods, that_are_lossless_write_the_greedy_text) {
  const arguments greedy = with(quick, {"--temp", "0", "-n", "60"});
  const nlohmann::json plain = ask(with(greedy, {"--method", "autoregressive"}));
  EXPECT_EQ(plain.at("statistics").at("proposed"), 0);
  for (const std::string& name : lossless) {
    const nlohmann::json got = ask(with(greedy, {"--method", name}));
    EXPECT_EQ(got.at("text"), plain.at("text")) << name;
    EXPECT_EQ(got.at("settings").at("method"), name);
    EXPECT_TRUE(got.at("settings").at("lossless").get<bool>());
    EXPECT_TRUE(got.at("quality").is_null());
    EXPECT_EQ(got.at("statistics").at("proposed") > 0, name != "autoregressive") << name;
  }
}

TEST_F(methods, that_are_lossy_say_so_and_are_judged) {
  for (const std::string name : {"lenient", "big_little", "typical"}) {
    const nlohmann::json got = ask(with(quick, {"--method", name, "-n", "60"}));
    EXPECT_FALSE(got.at("settings").at("lossless").get<bool>());
    EXPECT_GT(got.at("quality").at("agreement"), 0.1) << name;
    EXPECT_LE(got.at("quality").at("agreement"), 1.0) << name;
    EXPECT_GT(got.at("quality").at("perplexity"), 1.0) << name;
    const answer shown = run(with(quick, {"--method", name}));
    EXPECT_NE(shown.err.find("this method is lossy"), std::string::npos) << shown.err;
  }
}

// Where nothing is rolled back and nothing falls back, the small model writes alone, but for one token a round.
TEST_F(methods, take_their_parameters) {
  const auto accepted = [&](const arguments& given) {
    return ask(with(with(quick, {"--temp", "1", "-n", "60"}), given)).at("statistics").at("alpha").get<double>();
  };
  EXPECT_EQ(accepted({"--method", "big_little", "--fallback-threshold", "0", "--rollback-threshold", "inf"}), 1.0);
  EXPECT_LT(accepted({"--method", "big_little", "--fallback-threshold", "0", "--rollback-threshold", "0"}), 1.0);
  EXPECT_EQ(accepted({"--method", "early_exit", "--assistant-early-exit", "8", "--draft-top", "0"}), 1.0);
  EXPECT_GT(accepted({"--method", "lenient", "--lenience", "0.01"}),
            accepted({"--method", "lenient", "--lenience", "1"}));
  const auto proposed = [&](const arguments& given) {
    return ask(with(quick, given)).at("statistics").at("proposed").get<int>();
  };
  EXPECT_GT(proposed({"--method", "assisted", "--assistant-confidence-threshold", "0"}),
            proposed({"--method", "assisted", "--assistant-confidence-threshold", "0.9"}));
  EXPECT_GT(proposed({"--method", "draft_verify", "--th-stop-draft", "0"}),
            proposed({"--method", "draft_verify", "--th-stop-draft", "1"}));
}

TEST_F(methods, learn_n_grams_from_any_text) {
  const arguments greedy = with(quick, {"--temp", "0", "-n", "60"});
  write(file("counted"), run(with(greedy, {"--method", "autoregressive"})).out);
  const auto accepted = [&](const arguments& given) {
    return ask(with(with(greedy, {"--method", "ngram", "--gamma", "3"}), given)).at("statistics").at("accepted");
  };
  EXPECT_GT(accepted({"--ngram-text", file("counted").string()}), accepted({}));
  expect_failure({"--method", "ngram", "--ngram-text", file("absent").string()}, 1, {"absent"});
}

TEST_F(methods, and_what_does_not_fit_them_are_refused) {
  expect_failure({"--method", "magic"}, 2, {"--method", "'magic'", "autoregressive", "draft_verify"});
  expect_failure({"--lenience", "0.5"}, 2, {"--lenience", "--method lenient", "--method rejection"});
  expect_failure({"--method", "lenient", "--lenience", "0"}, 2, {"--lenience", "above 0", "'0'"});
  expect_failure({"--method", "assisted", "--num-assistant-tokens-schedule", "x"}, 2, {"heuristic", "'x'"});
  expect_failure({"--method", "assisted", "--gamma", "auto"}, 2, {"--gamma", "assisted"});
  expect_failure({"--method", "prompt_lookup", "-md", "x.gguf"}, 2, {"--model-draft", "prompt_lookup", "'x.gguf'"});
  expect_failure({"--method", "early_exit", "--assistant-early-exit", "9"}, 1, {"8", "9"});
  expect_failure({"--method", "ngram", "--ngram-order", "3"}, 2, {"--ngram-order", "'3'"});
  expect_failure({"-md", (models / "draft-1k.gguf").string()}, 1, {"draft-1k.gguf", "4096", "1024"});
  write(file("skip"), R"({"layers": 7, "attention": [1], "feed_forward": []})");
  expect_failure({"--method", "draft_verify", "--skip", file("skip").string()}, 1, {"8 layers", "7"});
  expect_failure({"--method", "draft_verify", "--skip", file("absent").string()}, 1, {"absent"});
}

TEST_F(methods, leave_out_what_a_file_says) {
  const arguments asked = with(quick, {"--temp", "1", "-n", "60", "--method", "draft_verify"});
  const auto alpha = [&](const std::string& skip) {
    write(file("skip"), skip);
    return ask(with(asked, {"--draft-top", "0", "--skip", file("skip").string()})).at("statistics").at("alpha");
  };
  EXPECT_EQ(alpha(R"({"layers": 8, "attention": [], "feed_forward": []})"), 1.0);
  EXPECT_LT(alpha(R"({"layers": 8, "attention": [0, 1, 2, 3, 4, 5, 6, 7], "feed_forward": []})"), 0.9);
}

}  // namespace
