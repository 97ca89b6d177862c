#include "tables.hpp"

#include <fmt/format.h>

namespace acceptance {

std::string cells_csv(const cells& all) {
  std::string csv =
      "method,temperature,gamma,task,rounds,proposed,evaluated,accepted,delivered,alpha,tokens_per_call,"
      "target_agreement,target_perplexity,speedup_measured,speedup_predicted\n";
  for (const auto& [name, found] : all) {
    csv += fmt::format("{},{},{},{},{},{},{},{},{},{:.4f},{:.4f},{:.4f},{:.4f},", name.method, name.temperature,
                       name.gamma, name.task, found.stats.rounds, found.stats.proposed, found.stats.evaluated,
                       found.stats.accepted, found.counts.delivered, found.stats.alpha(), found.tokens_per_call(),
                       found.text.agreement(), found.text.perplexity());
    csv += found.timed() ? fmt::format("{:.4f},{:.4f}\n", speedup_by_medians(found.counts, found.rounds),
                                       predicted_speedup(found.counts, found.parts, found.rounds))
                         : ",\n";
  }
  return csv;
}

std::string positions_csv(const cells& all) {
  std::string csv = "method,temperature,gamma,task,position,evaluated,accepted,rate,low,high\n";
  for (const auto& [name, found] : all) {
    for (std::size_t i = 0; i < found.stats.evaluated_at.size(); ++i) {
      const std::uint64_t evaluated = found.stats.evaluated_at[i], accepted = found.stats.accepted_at[i];
      if (evaluated == 0) continue;
      const share rate = share_of(accepted, evaluated);
      csv += fmt::format("{},{},{},{},{},{},{},{:.4f},{:.4f},{:.4f}\n", name.method, name.temperature, name.gamma,
                         name.task, i + 1, evaluated, accepted, rate.value, rate.low, rate.high);
    }
  }
  return csv;
}

}  // namespace acceptance
