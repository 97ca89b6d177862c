#include "memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <numeric>

namespace soak {

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

bool resident_trend::grows() const {
  constexpr std::size_t least = std::size_t{4} << 20;
  if (!is_known()) return false;
  const std::size_t before = middle();
  return last() > before + std::max(least, before / 50);
}

std::size_t resident_trend::median(std::size_t begin, std::size_t end) const {
  std::vector<std::size_t> part(samples_.begin() + static_cast<std::ptrdiff_t>(begin),
                                samples_.begin() + static_cast<std::ptrdiff_t>(end));
  const auto half = part.begin() + static_cast<std::ptrdiff_t>(part.size() / 2);
  std::nth_element(part.begin(), half, part.end());
  return *half;
}

bool kept_trend::grows() const {
  constexpr std::ptrdiff_t most_episodes = 3;
  constexpr long long most_bytes = 64 << 10;
  if (!is_known()) return false;
  const auto late = std::find_if(kept_.begin(), kept_.end(),
                                 [this](const remainder& one) { return one.episode >= 2 * episodes_ / 3; });
  const long long bytes =
      std::accumulate(late, kept_.end(), 0LL, [](long long sum, const remainder& one) { return sum + one.bytes; });
  return kept_.end() - late > most_episodes || bytes > most_bytes;
}

}  // namespace soak
