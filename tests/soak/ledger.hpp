#ifndef SOAK_LEDGER_HPP
#define SOAK_LEDGER_HPP

/// @file
/// What a soak came to.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "../counting_new.hpp"
#include "episode.hpp"
#include "memory.hpp"

namespace soak {

/// Runs episodes and keeps account of them.
class ledger {
 public:
  ledger(const workplace& models, std::span<const method> methods, std::uint64_t seed, kept_trend kept = kept_trend());

  /// Plays an episode and enters it. Returns what went wrong in it, with everything that is needed to play it again;
  /// nothing if it went well.
  ///
  /// Behind an episode no more blocks and bytes of memory may be live than before it. If there are, it is played once
  /// more, for the first time may have filled what is kept for good; if that leaves more again, the episode leaks.
  [[nodiscard]] std::optional<std::string> play(std::uint32_t number);

  /// Samples the resident set.
  void sample_memory() { resident_.sample(resident_bytes()); }
  /// Whether the process has grown from the middle of the run to its end, or still keeps more then; see
  /// `resident_trend` and `kept_trend`.
  [[nodiscard]] bool grows() const { return resident_.grows() || kept_trend_.grows(); }

  [[nodiscard]] std::size_t episodes() const noexcept { return episodes_; }
  [[nodiscard]] std::size_t episodes(driver runs) const;
  [[nodiscard]] std::uint64_t compared() const noexcept { return compared_; }
  [[nodiscard]] std::size_t failures() const noexcept { return failures_; }

  /// The table at the end.
  [[nodiscard]] std::string table() const;

 private:
  struct account {
    std::size_t episodes = 0;
    std::uint64_t compared = 0;
    std::size_t failures = 0;
  };

  void enter(const episode& played, bool failed);

  const workplace& models_;
  std::span<const method> methods_;
  std::uint64_t seed_;
  std::size_t episodes_ = 0;
  std::uint64_t compared_ = 0;
  std::size_t failures_ = 0;
  std::vector<std::array<account, driver_count>> accounts_;
  counting_new::heap kept_;  ///< what first times have filled
  kept_trend kept_trend_;
  counting_new::heap at_start_;
  std::size_t resident_at_start_;
  resident_trend resident_;
};

}  // namespace soak

#endif  // SOAK_LEDGER_HPP
