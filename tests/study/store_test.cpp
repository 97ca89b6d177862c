// The file that a study grows in.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include <acceptance/store.hpp>

namespace {

using namespace acceptance;
using json = nlohmann::ordered_json;

cell cell_of(std::size_t gamma) {
  cell one{{"rejection", 1, gamma, "novel"}, {}};
  one.found.stats.reserve(1);
  one.found.stats.add_round(1, 1, false, false, 2);
  one.found.counts.drafted = {0, 1};
  one.found.counts.delivered = 2;
  return one;
}

class Store : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "store_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ / "study.jsonl";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  void add(const std::string& text) const { std::ofstream(path_, std::ios::binary | std::ios::app) << text; }

  void expect_refusal(const json& settings, const std::vector<std::string>& words) const {
    const std::string before = bytes();
    try {
      const store kept(path_, settings);
      FAIL() << "was opened";
    } catch (const std::runtime_error& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(path_.string()), std::string::npos) << message;
      for (const std::string& word : words) EXPECT_NE(message.find(word), std::string::npos) << word << ": " << message;
    }
    EXPECT_EQ(bytes(), before);
  }

  const json settings_{{"tokens", 96}, {"files", {{"target.gguf", "12ab"}}}};
  std::filesystem::path folder_, path_;
};

TEST_F(Store, GoesOnWhereItWas) {
  {
    store kept(path_, settings_);
    EXPECT_TRUE(kept.finished().empty());
    kept.append(cell_of(1));
  }
  const std::string first = bytes();
  {
    store kept(path_, settings_);
    EXPECT_EQ(kept.finished().size(), 1U);
    EXPECT_EQ(bytes(), first);
    kept.append(cell_of(2));
  }
  EXPECT_EQ(read(path_).found.size(), 2U);
  EXPECT_EQ(read(path_).settings, settings_);
}

TEST_F(Store, CutsOffWhatAKilledRunLeft) {
  { store(path_, settings_).append(cell_of(1)); }
  const std::string whole = bytes();
  std::string second;
  { store(path_, settings_).append(cell_of(2)); }
  second = bytes().substr(whole.size());
  for (std::size_t cut = 1; cut < second.size(); ++cut) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << whole << second.substr(0, cut);
    store kept(path_, settings_);
    ASSERT_EQ(kept.finished().size(), 1U) << cut;
    ASSERT_EQ(bytes(), whole) << cut;
  }
}

TEST_F(Store, StartsAgainWhereTheFirstLineWasNotFinished) {
  { const store kept(path_, settings_); }
  const std::string head = bytes();
  for (std::size_t cut = 0; cut < head.size(); ++cut) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << head.substr(0, cut);
    const store kept(path_, settings_);
    ASSERT_EQ(bytes(), head) << cut;
  }
}

TEST_F(Store, RefusesOtherSettingsNamingTheFirst) {
  { store(path_, settings_).append(cell_of(1)); }
  expect_refusal({{"tokens", 64}, {"files", {{"target.gguf", "12ab"}}}}, {"tokens 64", "96", "--output"});
  expect_refusal({{"tokens", 96}, {"files", {{"target.gguf", "cd"}}}}, {"files target.gguf \"cd\"", "\"12ab\""});
  expect_refusal({{"tokens", 96}, {"files", {{"target.gguf", "12ab"}}}, {"ballast", 5}}, {"ballast 5", "none"});
}

TEST_F(Store, RefusesWhatIsNoStudy) {
  add("{\"kind\": \"something else\"}\n");
  expect_refusal(settings_, {"expected an acceptance study"});
  std::ofstream(path_, std::ios::trunc) << "";
  { const store kept(path_, settings_); }
  add("{\"method\": 3}\n");
  expect_refusal(settings_, {"expected a cell"});
  const auto with = [&](const char* name, const json& value) {
    std::filesystem::remove(path_);
    { store(path_, settings_).append(cell_of(1)); }
    json line = to_json(cell_of(2));
    line[name] = value;
    add(line.dump() + "\n");
  };
  with("accepted_at", json::array());
  expect_refusal(settings_, {"accepted_at", "[]"});
  with("evaluated_at", {0});
  expect_refusal(settings_, {"evaluated_at", "[0]"});
  with("timed", {{"rounds", {{1e15, 1, 1, 1, 1, 1}}}, {"parts", json::array()}});
  expect_refusal(settings_, {"drafted tokens", "1000000000000000"});
}

TEST_F(Store, TellsWhatItCannotUse) {
  EXPECT_THROW(store(folder_ / "none" / "study.jsonl", settings_), std::runtime_error);
  EXPECT_THROW((void)read(folder_ / "none.jsonl"), std::runtime_error);
}

}  // namespace
