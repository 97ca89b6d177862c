#include "ledger.hpp"

#include <numeric>
#include <utility>

#include <fmt/format.h>

namespace soak {
namespace {

double mebibytes(double bytes) { return bytes / (1 << 20); }

}  // namespace

ledger::ledger(const workplace& models, std::span<const method> methods, std::uint64_t seed, kept_trend kept)
    : models_(models),
      methods_(methods),
      seed_(seed),
      accounts_(methods.size()),
      kept_trend_(std::move(kept)),
      resident_at_start_(resident_bytes()) {
  at_start_ = counting_new::live();
}

std::optional<std::string> ledger::play(std::uint32_t number) {
  std::vector<std::string> wrong;
  std::string description;
  const auto left_behind = [&](bool is_entered) {
    const counting_new::heap before = counting_new::live();
    {
      const episode played = play_episode(models_, methods_, seed_, number);
      if (is_entered) {
        enter(played, !played.divergences.empty());
        if (!played.divergences.empty()) {
          wrong = played.divergences;
          description = played.description;
          return counting_new::heap{};
        }
      }
    }
    const counting_new::heap after = counting_new::live();
    return counting_new::heap{after.blocks - before.blocks, after.bytes - before.bytes};
  };
  const counting_new::heap first = left_behind(true);
  kept_trend_.enter(first.bytes);
  kept_.blocks += first.blocks;
  kept_.bytes += first.bytes;
  if ((first.blocks > 0 || first.bytes > 0) && wrong.empty()) {
    const counting_new::heap again = left_behind(false);
    if (again.blocks > 0 || again.bytes > 0) {
      ++failures_;
      wrong.push_back(
          fmt::format("{} blocks of memory, {} bytes, are left behind every time", again.blocks, again.bytes));
      description = play_episode(models_, methods_, seed_, number).description;
    }
  }
  if (wrong.empty()) return std::nullopt;
  std::string message = fmt::format("episode {} of seed {}: {}\n", number, seed_, description);
  for (const std::string& line : wrong) message += fmt::format("  {}\n", line);
  return message + fmt::format("  again, alone: soak --seed {} --episode {}", seed_, number);
}

void ledger::enter(const episode& played, bool failed) {
  account& of = accounts_[played.method][static_cast<std::size_t>(played.runs)];
  for (auto* counts : {&of.failures, &failures_}) *counts += failed ? 1 : 0;
  for (auto* counts : {&of.episodes, &episodes_}) ++*counts;
  for (auto* counts : {&of.compared, &compared_}) *counts += played.compared;
}

std::size_t ledger::episodes(driver runs) const {
  return std::accumulate(accounts_.begin(), accounts_.end(), std::size_t{0}, [runs](std::size_t sum, const auto& one) {
    return sum + one[static_cast<std::size_t>(runs)].episodes;
  });
}

std::string ledger::table() const {
  std::string text = fmt::format("{:<22}", "episodes / tokens");
  for (std::size_t runs = 0; runs < driver_count; ++runs) {
    text += fmt::format("{:>20}", to_string(static_cast<driver>(runs)));
  }
  text += fmt::format("{:>13}\n", "divergences");
  const auto line = [&text](std::string_view name, const std::array<account, driver_count>& accounts) {
    text += fmt::format("{:<22}", name);
    std::size_t failures = 0;
    for (const account& one : accounts) {
      const std::string cell = one.episodes == 0 ? "-" : fmt::format("{} / {}", one.episodes, one.compared);
      text += fmt::format("{:>20}", cell);
      failures += one.failures;
    }
    text += fmt::format("{:>13}\n", failures);
  };
  std::array<account, driver_count> all{};
  for (std::size_t i = 0; i < methods_.size(); ++i) {
    line(methods_[i].name, accounts_[i]);
    for (std::size_t runs = 0; runs < driver_count; ++runs) {
      all[runs].episodes += accounts_[i][runs].episodes;
      all[runs].compared += accounts_[i][runs].compared;
      all[runs].failures += accounts_[i][runs].failures;
    }
  }
  line("all", all);
  const counting_new::heap now = counting_new::live();
  text += fmt::format(
      "\n{} episodes, {} tokens compared, {} divergences\n"
      "live heap: {:.2f} MiB at the start, {:.2f} at the end\n"
      "kept for good: {} blocks, {} bytes, by first times: {}\n",
      episodes_, compared_, failures_, mebibytes(static_cast<double>(at_start_.bytes)),
      mebibytes(static_cast<double>(now.bytes)), kept_.blocks, kept_.bytes,
      !kept_trend_.is_known() ? "too short a run to tell a trend"
      : kept_trend_.grows()   ? "GROWS"
                              : "no growth");
  if (resident_.is_known()) {
    text += fmt::format(
        "resident: {:.1f} MiB at the start, {:.1f} in the middle third of {} samples, {:.1f} in the last (medians): "
        "{}\n",
        mebibytes(static_cast<double>(resident_at_start_)), mebibytes(static_cast<double>(resident_.middle())),
        resident_.size(), mebibytes(static_cast<double>(resident_.last())), grows() ? "GROWS" : "no growth");
  } else {
    text += fmt::format("resident: {:.1f} MiB at the start, {:.1f} at the end; too short a run to tell a trend\n",
                        mebibytes(static_cast<double>(resident_at_start_)),
                        mebibytes(static_cast<double>(resident_bytes())));
  }
  return text;
}

}  // namespace soak
