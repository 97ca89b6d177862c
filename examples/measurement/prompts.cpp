#include "prompts.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <program/text_file.hpp>

namespace measurement {

std::vector<prompt> read_prompts(const std::filesystem::path& path) {
  std::istringstream lines(program::read_file(path.string()));
  std::vector<prompt> prompts;
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    const auto text_of = [&](const char* name) {
      const auto found = entry.is_object() ? entry.find(name) : entry.end();
      return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    if (text_of("prompt").empty()) {
      constexpr std::size_t shown = 40;
      throw std::runtime_error(
          fmt::format(R"({}: line {}: expected a JSON object with a text named "prompt"; got {:?})", path.string(),
                      number, line.size() > shown ? line.substr(0, shown) + "..." : line));
    }
    prompts.push_back({text_of("task"), text_of("prompt"), text_of("answer")});
  }
  if (prompts.empty()) throw std::runtime_error(fmt::format("{}: expected prompts; the file has none", path.string()));
  return prompts;
}

std::vector<prompt> task_by_task(std::vector<prompt> prompts) {
  std::map<std::string, std::size_t> seen;
  std::vector<std::pair<std::size_t, prompt>> ranked;
  for (prompt& one : prompts) {
    const std::size_t rank = seen[one.task]++;
    ranked.emplace_back(rank, std::move(one));
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < ranked.size(); ++i) prompts[i] = std::move(ranked[i].second);
  return prompts;
}

}  // namespace measurement
