#ifndef SOAK_MEMORY_HPP
#define SOAK_MEMORY_HPP

/// @file
/// How much memory the process has, and whether it grows.

#include <cstddef>
#include <string>
#include <vector>

namespace soak {

/// The resident set, in bytes; 0 where the system does not tell.
[[nodiscard]] std::size_t resident_bytes();

/// Watches the resident set for growth.
///
/// It is sampled behind every so many episodes. The first third of the samples is warm-up; if the median of the last
/// third is above that of the middle third by more than 2 % and 4 MiB, it grows. Fewer than 60 samples say nothing.
class resident_trend {
 public:
  static constexpr std::size_t least_samples = 60;

  void sample(std::size_t bytes) { samples_.push_back(bytes); }
  [[nodiscard]] std::size_t size() const noexcept { return samples_.size(); }
  [[nodiscard]] bool is_known() const noexcept { return samples_.size() >= least_samples; }
  /// The medians of the middle and the last third. Precondition: at least three samples.
  [[nodiscard]] std::size_t middle() const { return median(samples_.size() / 3, 2 * samples_.size() / 3); }
  [[nodiscard]] std::size_t last() const { return median(2 * samples_.size() / 3, samples_.size()); }
  [[nodiscard]] bool grows() const;

 private:
  [[nodiscard]] std::size_t median(std::size_t begin, std::size_t end) const;

  std::vector<std::size_t> samples_;
};

/// Watches what episodes leave behind for good: what is filled once, and so not again when the episode is played again.
///
/// First times come early. Of two thirds of the run nothing is thought; if four episodes of the last third left
/// something behind, or all of it together is more than 64 KiB, it grows: by what is new in every episode, such as its
/// seed, or by a container that now and then moves. A short run says nothing.
class kept_trend {
 public:
  static constexpr std::size_t least_episodes = 480;

  /// @param least of fewer episodes nothing is said
  explicit kept_trend(std::size_t least = least_episodes) : least_(least) {}

  /// Enters the bytes that an episode left behind, none for most.
  void enter(long long bytes) {
    if (bytes > 0) kept_.push_back({episodes_, bytes});
    ++episodes_;
  }
  [[nodiscard]] bool is_known() const noexcept { return episodes_ >= least_; }
  [[nodiscard]] bool grows() const;

 private:
  struct remainder {
    std::size_t episode;
    long long bytes;
  };

  std::size_t least_;
  std::size_t episodes_ = 0;
  std::vector<remainder> kept_;
};

}  // namespace soak

#endif  // SOAK_MEMORY_HPP
