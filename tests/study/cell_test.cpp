// A study's cells as JSON, tables and pictures.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <acceptance/cell.hpp>
#include <acceptance/plots.hpp>
#include <acceptance/tables.hpp>
#include <nlohmann/json.hpp>

namespace {

using namespace acceptance;

findings some_findings(bool timed) {
  findings found;
  found.stats.reserve(2);
  for (const std::size_t kept : {0U, 2U, 1U, 2U}) {
    found.stats.add_round(2, kept, kept < 2, false, kept + 1);
    found.counts.delivered += kept + 1;
  }
  found.counts.drafted = {0, 0, 4};
  found.text = {9, 6, -12.5};
  if (timed) {
    found.rounds = {{2, 0.002, 0.03, 0.0001, 0.025, 0.0002}};
    found.parts = {{2, 0.002, 0.03, 0.025}};
  }
  return found;
}

TEST(Share, HasWilsonsInterval) {
  const share rate = share_of(8, 10);
  EXPECT_DOUBLE_EQ(rate.value, 0.8);
  EXPECT_NEAR(rate.low, 0.4902, 1e-4);
  EXPECT_NEAR(rate.high, 0.9433, 1e-4);
  EXPECT_EQ(share_of(0, 7).low, 0);
  EXPECT_EQ(share_of(7, 7).high, 1);
}

TEST(Cell, IsTheSameBehindJson) {
  for (const bool timed : {false, true}) {
    const cell one{{"rejection", 0.5, 2, "novel"}, some_findings(timed)};
    const auto json = to_json(one);
    const cell again = cell_from(nlohmann::ordered_json::parse(json.dump()));
    EXPECT_EQ(again.name, one.name);
    EXPECT_EQ(to_json(again), json);
    EXPECT_EQ(again.found.timed(), timed);
    EXPECT_DOUBLE_EQ(again.found.tokens_per_call(), 2.25);
    EXPECT_EQ(json.at("timed").is_null(), !timed);
  }
}

std::vector<std::vector<std::string>> rows_of(const std::string& csv) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    rows.emplace_back();
    std::size_t at = 0;
    for (std::size_t comma; (comma = line.find(',', at)) != std::string::npos; at = comma + 1) {
      rows.back().push_back(line.substr(at, comma - at));
    }
    rows.back().push_back(line.substr(at));
  }
  return rows;
}

TEST(Tables, HaveALineForEachCellAndPosition) {
  const cells all{{{"rejection", 0, 2, "novel"}, some_findings(true)},
                  {{"rejection", 1, 2, "tale"}, some_findings(false)}};
  const auto cell_rows = rows_of(cells_csv(all)), position_rows = rows_of(positions_csv(all));
  ASSERT_EQ(cell_rows.size(), 3U);
  ASSERT_EQ(position_rows.size(), 1U + 2 * 2);
  for (const auto& row : cell_rows) EXPECT_EQ(row.size(), cell_rows.front().size());
  for (const auto& row : position_rows) EXPECT_EQ(row.size(), position_rows.front().size());
  const auto column = [](const auto& rows, const std::string& name) {
    return static_cast<std::size_t>(std::find(rows[0].begin(), rows[0].end(), name) - rows[0].begin());
  };
  EXPECT_EQ(cell_rows[1][column(cell_rows, "tokens_per_call")], "2.2500");
  // 2.25 tokens a round of 32.1 ms, against one of 25 ms; its parts take 32.1 too, but a plain round 25.2.
  EXPECT_EQ(cell_rows[1][column(cell_rows, "speedup_measured")], "1.7523");
  EXPECT_EQ(cell_rows[1][column(cell_rows, "speedup_predicted")], "1.7664");
  EXPECT_EQ(cell_rows[2][column(cell_rows, "speedup_measured")], "");
  EXPECT_EQ(position_rows[1][column(position_rows, "evaluated")], "4");
  EXPECT_EQ(position_rows[1][column(position_rows, "rate")], "0.7500");
}

class Pictures : public testing::Test {
 protected:
  void SetUp() override {
    for (const double temperature : {0.0, 1.0}) {
      for (const std::size_t gamma : {1U, 2U}) {
        for (const char* task : {"novel", "tale"}) {
          findings found = some_findings(true);
          for (int i = 0; i < 4; ++i) found += some_findings(true);
          all_[{"rejection", temperature, gamma, task}] = found;
          all_[{"prompt_lookup", temperature, gamma, task}] = found;
        }
      }
    }
    asked_.methods = {&measurement::find_method("rejection"), &measurement::find_method("prompt_lookup")};
    asked_.gammas = {1, 2};
  }

  [[nodiscard]] std::vector<picture> pictures() const {
    return pictures_of(all_, asked_, {"novel", "tale"}, "float32", "150M");
  }

  cells all_;
  options asked_;
};

TEST_F(Pictures, NameEveryMethod) {
  const auto drawn = pictures();
  ASSERT_EQ(drawn.size(), 3U);
  for (const picture& one : drawn) {
    EXPECT_NE(one.commands.find("rejection"), std::string::npos) << one.name;
    EXPECT_NE(one.commands.find("prompt lookup"), std::string::npos) << one.name;
  }
}

TEST_F(Pictures, TakeAnyNameOfATask) {
  const std::string task = "it's `touch x` \"now\"\nplot";
  for (const char* method : {"rejection", "prompt_lookup"}) all_[{method, 0, 1, task}] = all_[{method, 0, 1, "novel"}];
  const auto drawn = pictures_of(all_, asked_, {task}, "float32", "150M");
  ASSERT_FALSE(drawn.empty());
  EXPECT_NE(drawn.front().commands.find("'{/:Bold it''s `touch x` \"now\" plot}'"), std::string::npos);
}

TEST_F(Pictures, LeaveOutWhatIsNotMeasured) {
  for (auto& [name, found] : all_) found.rounds.clear();
  const auto drawn = pictures();
  ASSERT_EQ(drawn.size(), 2U);
  all_.erase({"rejection", 1, 2, "tale"});
  EXPECT_EQ(pictures().size(), 2U) << "a gamma that lacks a task is left out of sums over tasks, no more";
}

TEST_F(Pictures, AreDrawnOrASentenceSaysWhatIsMissing) {
  std::string folder = (std::filesystem::temp_directory_path() / "pictures_XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = std::getenv("PATH");
  setenv("PATH", "/nowhere", 1);
  const std::string missing = draw(pictures(), folder);
  setenv("PATH", path.c_str(), 1);
  EXPECT_NE(missing.find("install gnuplot-nox"), std::string::npos) << missing;
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  if (std::system("command -v gnuplot >/dev/null 2>&1") == 0) {
    EXPECT_EQ(draw(pictures(), folder), "");
    for (const char* name : {"acceptance", "tokens_per_call", "speedup"}) {
      for (const char* kind : {".svg", ".png"}) {
        const auto file = std::filesystem::path(folder) / (std::string(name) + kind);
        EXPECT_GT(std::filesystem::file_size(file), 4000U) << file;
        EXPECT_LT(std::filesystem::file_size(file), 150'000U) << file;
      }
    }
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
