#include "cell.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace acceptance {
namespace {

using json = nlohmann::ordered_json;
using measurement::timed_parts;
using measurement::timed_round;

// Whole microseconds: shorter to write than a clock is exact.
std::int64_t microseconds(double seconds) { return std::llround(seconds * 1e6); }
double seconds(const json& value) { return value.get<double>() / 1e6; }

}  // namespace

std::string to_string(const cell_name& name) {
  return fmt::format("{}, temperature {}, gamma {}, {}", name.method, name.temperature, name.gamma, name.task);
}

findings& findings::operator+=(const findings& other) {
  counted::operator+=(other);
  rounds.insert(rounds.end(), other.rounds.begin(), other.rounds.end());
  parts.insert(parts.end(), other.parts.begin(), other.parts.end());
  return *this;
}

json to_json(const cell& one) {
  const findings& found = one.found;
  json timed = nullptr;
  if (found.timed()) {
    timed = {{"unit", "us"}, {"rounds", json::array()}, {"parts", json::array()}};
    for (const timed_round& r : found.rounds) {
      timed["rounds"].push_back({r.drafted, microseconds(r.draft), microseconds(r.target), microseconds(r.verify),
                                 microseconds(r.plain), microseconds(r.plain_verify)});
    }
    for (const timed_parts& p : found.parts) {
      timed["parts"].push_back({p.drafted, microseconds(p.draft), microseconds(p.target), microseconds(p.single)});
    }
  }
  return {{"method", one.name.method},
          {"temperature", one.name.temperature},
          {"gamma", one.name.gamma},
          {"task", one.name.task},
          {"delivered", found.counts.delivered},
          {"rounds", found.stats.rounds},
          {"proposed", found.stats.proposed},
          {"evaluated", found.stats.evaluated},
          {"accepted", found.stats.accepted},
          {"evaluated_at", found.stats.evaluated_at},
          {"accepted_at", found.stats.accepted_at},
          {"rounds_that_drafted", found.counts.drafted},
          {"judged", found.text.tokens},
          {"likeliest", found.text.likeliest},
          {"log_probability", found.text.log_probability},
          {"timed", std::move(timed)}};
}

cell cell_from(const json& from) {
  cell one;
  one.name = {from.at("method"), from.at("temperature"), from.at("gamma"), from.at("task")};
  findings& found = one.found;
  found.counts.delivered = from.at("delivered");
  found.counts.drafted = from.at("rounds_that_drafted").get<std::vector<std::uint64_t>>();
  found.stats.delivered = found.counts.delivered;
  found.stats.rounds = from.at("rounds");
  found.stats.proposed = from.at("proposed");
  found.stats.evaluated = from.at("evaluated");
  found.stats.accepted = from.at("accepted");
  found.stats.evaluated_at = from.at("evaluated_at").get<std::vector<std::uint64_t>>();
  found.stats.accepted_at = from.at("accepted_at").get<std::vector<std::uint64_t>>();
  bool possible = found.stats.evaluated_at.size() == found.stats.accepted_at.size();
  for (std::size_t i = 0; possible && i < found.stats.evaluated_at.size(); ++i) {
    possible = found.stats.accepted_at[i] <= found.stats.evaluated_at[i];
  }
  if (!possible) {
    throw std::runtime_error(
        fmt::format("evaluated_at and accepted_at: expected as many of both, none accepted but "
                    "what was evaluated; got {} and {}",
                    from.at("evaluated_at").dump(), from.at("accepted_at").dump()));
  }
  found.text = {from.at("judged"), from.at("likeliest"), from.at("log_probability")};
  const json& timed = from.at("timed");
  if (timed.is_null()) return one;
  for (const json& r : timed.at("rounds")) {
    if (const std::size_t drafted = r.at(0); drafted > measurement::most_drafted) {
      throw std::runtime_error(
          fmt::format("a round's drafted tokens: expected at most {}; got {}", measurement::most_drafted, drafted));
    }
    found.rounds.push_back(
        {r.at(0), seconds(r.at(1)), seconds(r.at(2)), seconds(r.at(3)), seconds(r.at(4)), seconds(r.at(5))});
  }
  for (const json& p : timed.at("parts")) {
    found.parts.push_back({p.at(0), seconds(p.at(1)), seconds(p.at(2)), seconds(p.at(3))});
  }
  return one;
}

share share_of(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return {};
  constexpr double z = 1.959964;
  const auto n = static_cast<double>(whole);
  const double p = static_cast<double>(part) / n;
  const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {p, std::max(middle - half, 0.0), std::min(middle + half, 1.0)};
}

}  // namespace acceptance
