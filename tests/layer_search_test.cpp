// The search for what to skip, on functions whose highest point is known; and the file that keeps what was found.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <layer_search/bayesian_search.hpp>
#include <layer_search/gaussian_process.hpp>
#include <layer_search/skip_file.hpp>

#include "shell.hpp"

namespace {

using layer_search::bayesian_search;
using layer_search::choices;
using layer_search::gaussian_process;

TEST(gaussian_process, goes_through_what_it_was_told_and_knows_nothing_far_away) {
  Eigen::MatrixXd points(3, 1);
  points << 0, 1, 3;
  Eigen::VectorXd values(3);
  values << 5, 7, 6;
  gaussian_process process(1e-9);
  process.fit(points, values);
  for (Eigen::Index i = 0; i < 3; ++i) {
    const auto known = process.at(points.row(i).transpose());
    EXPECT_NEAR(known.mean, values[i], 1e-6);
    EXPECT_LT(known.deviation, 1e-3);
  }
  const auto unknown = process.at(Eigen::VectorXd::Constant(1, 1000));
  EXPECT_NEAR(unknown.mean, 6, 1e-9);
  EXPECT_NEAR(unknown.deviation, std::sqrt(2.0 / 3), 1e-9);
}

TEST(gaussian_process, predicts_two_points_as_the_equations_do) {
  // k(x, x1) (k + noise)^-1 y by hand, for points at distance 1 and the length scale that it chose.
  Eigen::MatrixXd points(2, 1);
  points << 0, 1;
  const Eigen::VectorXd values = (Eigen::VectorXd(2) << -2, 4).finished();
  constexpr double noise = 0.1;
  gaussian_process process(noise);
  process.fit(points, values);
  const auto kernel = [&](double r) {
    const double s = std::sqrt(5.0) * r / process.length_scale();
    return (1 + s + s * s / 3) * std::exp(-s);
  };
  // Values become -1 and 1; the inverse of [[a, b], [b, a]] sends (-1, 1) to (-1, 1) / (a - b).
  const double a = 1 + noise, b = kernel(1);
  for (const double x : {-0.7, 0.0, 0.4, 1.0, 2.5}) {
    const double k0 = kernel(std::abs(x)), k1 = kernel(std::abs(x - 1));
    const auto found = process.at(Eigen::VectorXd::Constant(1, x));
    EXPECT_NEAR(found.mean, 1 + 3 * (k1 - k0) / (a - b), 1e-12);
    const double explained = (a * (k0 * k0 + k1 * k1) - 2 * b * k0 * k1) / (a * a - b * b);
    EXPECT_NEAR(found.deviation, 3 * std::sqrt(1 - explained), 1e-12);
  }
}

TEST(gaussian_process, takes_equal_values_and_repeated_points) {
  Eigen::MatrixXd points = Eigen::MatrixXd::Zero(4, 2);
  points(3, 0) = 1;
  gaussian_process process(1e-2);
  process.fit(points, Eigen::VectorXd::Constant(4, 3.5));
  EXPECT_NEAR(process.at(Eigen::VectorXd::Ones(2)).mean, 3.5, 1e-12);
}

/// A speed as one might meet it: every choice has its worth, neighbours matter to each other, and too much is bad.
class landscape {
 public:
  static constexpr std::size_t dimensions = 16;

  explicit landscape(std::uint64_t seed) : engine_(seed), worth_(dimensions), together_(dimensions) {
    for (double& worth : worth_) worth = random() - 0.4;
    for (double& worth : together_) worth = 2 * random() - 1;
    for (std::size_t all = 0; all < std::size_t{1} << dimensions; ++all) {
      choices point(dimensions);
      for (std::size_t i = 0; i < dimensions; ++i) point[i] = all >> i & 1;
      highest_ = std::max(highest_, operator()(point));
      lowest_ = std::min(lowest_, operator()(point));
    }
  }

  double operator()(const choices& point) const {
    double value = 0;
    for (std::size_t i = 0; i < dimensions; ++i) {
      value += worth_[i] * point[i] + together_[i] * point[i] * point[(i + 1) % dimensions];
    }
    return value;
  }
  /// How much is missing to the highest value, as a share of all there is.
  double regret(double value) const { return (highest_ - value) / (highest_ - lowest_); }
  double random() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

 private:
  std::mt19937_64 engine_;
  std::vector<double> worth_, together_;
  double highest_ = -1e9, lowest_ = 1e9;
};

constexpr std::size_t evaluations = 80;

double regret_of_search(landscape& height, std::uint64_t seed, double noise) {
  bayesian_search search(landscape::dimensions, {.seed = seed});
  for (std::size_t i = 0; i < evaluations; ++i) {
    const choices point = search.propose();
    search.observe(point, height(point) + noise * (height.random() - 0.5));
  }
  return height.regret(height(search.best().point));
}

double regret_of_chance(landscape& height) {
  double best = -1e9;
  for (std::size_t i = 0; i < evaluations; ++i) {
    choices point(landscape::dimensions);
    for (auto& choice : point) choice = height.random() < 0.5 ? 1 : 0;
    best = std::max(best, height(point));
  }
  return height.regret(best);
}

TEST(bayesian_search, finds_the_highest_point_where_chance_does_not) {
  std::size_t found = 0, found_by_chance = 0;
  double sum = 0, sum_of_chance = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    landscape height(seed);
    const double regret = regret_of_search(height, seed, 0), by_chance = regret_of_chance(height);
    found += regret == 0 ? 1 : 0;
    found_by_chance += by_chance == 0 ? 1 : 0;
    sum += regret;
    sum_of_chance += by_chance;
  }
  EXPECT_GE(found, 7U);
  EXPECT_LE(found_by_chance, 1U);
  EXPECT_LT(sum, 0.2 * sum_of_chance);
}

TEST(bayesian_search, stands_noise) {
  double sum = 0, sum_of_chance = 0;
  for (std::uint64_t seed = 20; seed < 26; ++seed) {
    landscape height(seed);
    sum += regret_of_search(height, seed, 0.4);
    sum_of_chance += regret_of_chance(height);
  }
  EXPECT_LT(sum, 0.5 * sum_of_chance);
}

TEST(bayesian_search, proposes_the_same_again_and_nothing_twice) {
  landscape height(3);
  bayesian_search a(landscape::dimensions, {.seed = 5}), b(landscape::dimensions, {.seed = 5});
  std::vector<choices> seen;
  for (std::size_t i = 0; i < 40; ++i) {
    const choices point = a.propose();
    EXPECT_EQ(b.propose(), point);
    EXPECT_EQ(std::ranges::count(seen, point), 0) << i;
    seen.push_back(point);
    a.observe(point, height(point));
    b.observe(point, height(point));
  }
}

TEST(bayesian_search, comes_to_the_end_of_a_small_space) {
  bayesian_search search(2, {.initial = 2});
  const auto value = [](const choices& point) { return point[0] - 0.5 * point[1]; };
  for (int i = 0; i < 12; ++i) {
    const choices point = search.propose();
    search.observe(point, value(point));
  }
  EXPECT_EQ(search.best().point, (choices{1, 0}));
  EXPECT_THROW(search.observe({1}, 0), std::invalid_argument);
  EXPECT_THROW(search.observe({1, 0}, std::nan("")), std::invalid_argument);
}

/// A file that is gone when the test is over.
class temporary_file {
 public:
  explicit temporary_file(const std::string& text = {}) { std::ofstream(path_) << text; }
  ~temporary_file() { std::filesystem::remove(path_); }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = ::testing::TempDir() + "layer_search_test_" +
                      ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".json";
};

TEST(skip_file, keeps_what_was_found) {
  const temporary_file file;
  const specdec::layer_skip skip(8, {2, 5}, {0, 7});
  layer_search::save({"models/target.gguf", skip, 812.5, 1.25}, file.path());
  EXPECT_EQ(layer_search::load_layer_skip(file.path()), skip);
  const auto whole = layer_search::load(file.path());
  EXPECT_EQ(whole.model, "models/target.gguf");
  EXPECT_EQ(whole.tokens_per_second, 812.5);
  EXPECT_EQ(whole.speedup, 1.25);
}

TEST(skip_file, takes_any_name_of_a_model) {
  const temporary_file file;
  layer_search::save({"mod\xe8l.gguf", specdec::layer_skip(4, {1}, {}), 1, 1}, file.path());
  EXPECT_EQ(layer_search::load(file.path()).model, "mod\xef\xbf\xbdl.gguf");
}

TEST(skip_file, may_be_written_by_hand) {
  const temporary_file file(R"({"layers": 4, "attention": [3, 1]})");
  EXPECT_EQ(layer_search::load_layer_skip(file.path()), specdec::layer_skip(4, {1, 3}, {}));
}

TEST(skip_file, errors_say_what_came) {
  const auto refusal = [](const std::string& text) {
    const temporary_file file(text);
    try {
      (void)layer_search::load_layer_skip(file.path());
    } catch (const std::runtime_error& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.rfind(file.path() + ": ", 0), 0U) << message;
      return message.substr(std::min(message.size(), file.path().size() + 2));
    }
    return std::string("no exception");
  };
  EXPECT_NE(refusal("attention: 3").find("expected JSON"), std::string::npos);
  EXPECT_EQ(refusal("[1]"), "expected an object with layers, attention and feed_forward; got an array");
  EXPECT_EQ(refusal(R"({"attention": [1]})"), "expected 'layers' to be a number of layers, from 1 up; found none");
  EXPECT_EQ(refusal(R"({"layers": -1})"), "expected 'layers' to be a number of layers, from 1 up; got -1");
  EXPECT_EQ(refusal(R"({"layers": 1e18})"), "expected 'layers' to be a number of layers, from 1 up; got 1e+18");
  EXPECT_EQ(refusal(R"({"layers": 4, "attention": 3})"), "expected 'attention' to be a list of layers, 0 to 3; got 3");
  EXPECT_EQ(refusal(R"({"layers": 4, "feed_forward": [1, 4]})"),
            "expected 'feed_forward' to be a list of layers, 0 to 3; got [1,4]");
  EXPECT_EQ(refusal(R"({"layers": 4, "feed_forward": ["1"]})"),
            "expected 'feed_forward' to be a list of layers, 0 to 3; got [\"1\"]");
  EXPECT_EQ(refusal(R"({"layers": ")" + std::string(100, 'x') + "\"}"),
            "expected 'layers' to be a number of layers, from 1 up; got \"" + std::string(79, 'x') + "...");
  // Whoever recursed into this would run out of stack.
  EXPECT_EQ(refusal(R"({"layers": )" + std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}"),
            "expected an object with lists of layers; got one nested 9 deep");
  try {
    (void)layer_search::load_layer_skip("no/such/file.json");
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "no/such/file.json: expected a file that says what to skip: No such file or directory");
  }
}

/// What the program does with these arguments; it prints error messages, too.
shell::answer run(const std::string& arguments) {
  return shell::output_of(shell::quoted(SPECDEC_LAYER_SEARCH) + " " + arguments + " 2>&1");
}

TEST(layer_search, writes_what_it_found) {
  const temporary_file file;
  const auto [code, printed] = run("--evaluations 18 --predict 6 --threads 1 --output " + shell::quoted(file.path()));
  EXPECT_EQ(code, 0) << printed;
  EXPECT_NE(printed.find("speed-up "), std::string::npos) << printed;
  const auto found = layer_search::load(file.path());
  EXPECT_EQ(found.skip.layer_count(), 8U);
  EXPECT_EQ(found.model, "target.gguf");
  EXPECT_GT(found.tokens_per_second, 0);
  EXPECT_GT(found.speedup, 0);
}

TEST(layer_search, says_what_it_cannot_use) {
  const auto many = run("--evaluations many");
  EXPECT_EQ(many.code, 2);
  EXPECT_EQ(many.printed, "layer_search: --evaluations: expected a number from 1 to 100000; got 'many'\n");
  EXPECT_EQ(run("--nonsense").code, 2);
  const auto nowhere = run("--model no/such/file.gguf");
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_NE(nowhere.printed.find("no/such/file.gguf"), std::string::npos);
  const temporary_file prompts("{\"prompt\": \"One\"}\n\n{\"text\": \"Two\"}\n");
  EXPECT_NE(run("--prompts " + shell::quoted(prompts.path())).printed.find(prompts.path() + ", line 3: expected"),
            std::string::npos);
  EXPECT_EQ(run("--help").code, 0);
}

}  // namespace
