// The plan of the house: which header may include which, and what every header must have.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path include_dir = fs::path(SPECDEC_SOURCE_DIR) / "include" / "specdec";

std::string contents(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Every header's path below include/specdec, with those it includes.
std::map<std::string, std::set<std::string>> include_graph() {
  std::map<std::string, std::set<std::string>> graph;
  for (const auto& entry : fs::recursive_directory_iterator(include_dir)) {
    if (entry.path().extension() != ".hpp") continue;
    auto& included = graph[fs::relative(entry.path(), include_dir).generic_string()];
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      constexpr std::string_view directive = "#include \"";
      if (line.rfind(directive, 0) != 0) continue;
      const std::string target = line.substr(directive.size(), line.rfind('"') - directive.size());
      const auto resolved = (entry.path().parent_path() / target).lexically_normal();
      included.insert(fs::relative(resolved, include_dir).generic_string());
    }
  }
  return graph;
}

/// Lower floors never include higher ones. The first pattern that is a prefix of the path decides.
int floor_of(const std::string& header) {
  const std::vector<std::pair<std::string, int>> floors = {{"version.hpp", 0},
                                                           {"config.hpp", 1},
                                                           {"failure.hpp", 2},
                                                           {"message.hpp", 2},
                                                           {"types.hpp", 2},
                                                           {"theory.hpp", 2},
                                                           {"layer_skip.hpp", 2},
                                                           {"mathematics.hpp", 2},
                                                           {"owner.hpp", 2},
                                                           {"vectors.hpp", 2},
                                                           {"random.hpp", 3},
                                                           {"detail/", 3},
                                                           {"proposal.hpp", 4},
                                                           {"concepts.hpp", 5},
                                                           {"sampling/", 6},
                                                           {"verify/", 7},
                                                           {"batches.hpp", 5},
                                                           {"decode/batch.hpp", 10},
                                                           {"requirements.hpp", 7},
                                                           {"decode/generate.hpp", 10},
                                                           {"decode/overlapped.hpp", 10},
                                                           {"decode/", 8},
                                                           {"length/", 9},
                                                           {"draft/", 9},
                                                           {"model/", 9},
                                                           {"specdec.hpp", 11},
                                                           {"testing/", 12},
                                                           {"adapters/", 12}};
  for (const auto& [prefix, floor] : floors) {
    if (header.rfind(prefix, 0) == 0) return floor;
  }
  ADD_FAILURE() << header << " has no floor: give it one here";
  return 0;
}

TEST(structure, includes_point_one_way) {
  const auto graph = include_graph();
  ASSERT_GT(graph.size(), 15U);
  for (const auto& [header, included] : graph) {
    for (const auto& other : included) {
      ASSERT_TRUE(graph.count(other)) << header << " includes " << other << ", which is not there";
      EXPECT_LE(floor_of(other), floor_of(header)) << header << " includes " << other;
    }
  }
}

TEST(structure, includes_have_no_cycle) {
  auto graph = include_graph();
  // Taking away headers whose includes are all gone must empty the graph.
  for (bool removed = true; removed;) {
    removed = false;
    for (auto header = graph.begin(); header != graph.end();) {
      const bool free = std::none_of(header->second.begin(), header->second.end(),
                                     [&](const auto& other) { return graph.count(other) != 0; });
      header = free ? graph.erase(header) : std::next(header);
      removed = removed || free;
    }
  }
  EXPECT_TRUE(graph.empty()) << "a cycle through " << graph.begin()->first;
}

TEST(structure, vocabulary_arithmetic_stays_in_its_rooms) {
  for (const auto& [header, included] : include_graph()) {
    const bool allowed = header == "proposal.hpp" || header.rfind("sampling/", 0) == 0 ||
                         header.rfind("verify/", 0) == 0 || header.rfind("detail/", 0) == 0;
    for (const auto& other : included) {
      EXPECT_TRUE(allowed || other.rfind("detail/", 0) != 0) << header << " includes " << other;
    }
  }
}

TEST(structure, the_umbrella_covers_everything_but_the_opt_in_parts) {
  const auto graph = include_graph();
  for (const auto& [header, included] : graph) {
    const bool opt_in = header.rfind("testing/", 0) == 0 || header.rfind("adapters/", 0) == 0;
    const bool inner = header.rfind("detail/", 0) == 0;
    if (header == "specdec.hpp" || inner) continue;
    EXPECT_EQ(graph.at("specdec.hpp").count(header), opt_in ? 0U : 1U) << header;
  }
}

TEST(structure, the_core_includes_no_costly_standard_header) {
  // Each costs whoever includes the umbrella 40 to 300 ms of compilation; what replaces them says so.
  const std::set<std::string> costly = {
      "atomic",   "chrono", "cmath", "deque",   "functional",      "future",        "iomanip",
      "iostream", "list",   "map",   "memory",  "memory_resource", "mutex",         "random",
      "ranges",   "regex",  "set",   "sstream", "thread",          "unordered_map", "unordered_set"};
  for (const auto& [header, included] : include_graph()) {
    if (header.rfind("testing/", 0) == 0 || header.rfind("adapters/", 0) == 0) continue;
    std::ifstream file(include_dir / header);
    // Compilers without GCC's builtins, and systems without POSIX, pay for what the others are spared.
    int conditions = 0;
    for (std::string line; std::getline(file, line);) {
      if (line.rfind("#if", 0) == 0) ++conditions;
      if (line.rfind("#endif", 0) == 0) --conditions;
      constexpr std::string_view directive = "#include <";
      if (conditions > 1 || line.rfind(directive, 0) != 0) continue;
      EXPECT_EQ(costly.count(line.substr(directive.size(), line.find('>') - directive.size())), 0U)
          << header << ": " << line;
    }
  }
}

TEST(structure, headers_say_what_they_are_for) {
  for (const auto& [header, included] : include_graph()) {
    const std::string text = contents(include_dir / header);
    std::string guard = "SPECDEC_" + header;
    std::transform(guard.begin(), guard.end(), guard.begin(),
                   [](unsigned char c) { return c == '/' || c == '.' ? '_' : static_cast<char>(std::toupper(c)); });
    if (header == "specdec.hpp") guard = "SPECDEC_SPECDEC_HPP";
    EXPECT_EQ(text.rfind("#ifndef " + guard + "\n#define " + guard + "\n", 0), 0U) << header;
    EXPECT_NE(text.find("/// @file"), std::string::npos) << header;
  }
}

}  // namespace
