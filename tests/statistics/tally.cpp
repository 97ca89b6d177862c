#include "tally.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <program/text_file.hpp>
#include <specdec/version.hpp>

#include "cases.hpp"

namespace frequencies {
namespace {

using json = nlohmann::ordered_json;

/// What has to be the same for counts to be added up.
json settings_of(std::uint64_t seed) {
  return {{"kind", "counts of emitted texts"},
          {"version", fmt::format("{}.{}.{}", SPECDEC_VERSION_MAJOR, SPECDEC_VERSION_MINOR, SPECDEC_VERSION_PATCH)},
          {"vocabulary", width},
          {"text_length", text_length},
          {"texts_per_block", texts_per_block},
          {"seed", seed}};
}

}  // namespace

tallies read_tallies(const std::filesystem::path& path, std::uint64_t seed) {
  if (!std::filesystem::exists(path)) return {};
  if (std::filesystem::is_directory(path)) {
    throw std::runtime_error(fmt::format("{}: expected a file of counts; this is a directory", path.string()));
  }
  const json file = json::parse(program::read_file(path.string()), nullptr, false);
  if (file.is_discarded()) {
    throw std::runtime_error(fmt::format(
        "{}: expected a file of counts; this is none, or a damaged one (choose another --output)", path.string()));
  }
  const json settings = settings_of(seed);
  for (const auto& [name, expected] : settings.items()) {
    const json got = file.is_object() && file.contains(name) ? file.at(name) : json();
    if (got == expected) continue;
    throw std::runtime_error(fmt::format("{}: expected {} {}; it has {} (choose another --output, or its seed)",
                                         path.string(), name, expected.dump(), got.is_null() ? "none" : got.dump()));
  }
  tallies counted;
  try {
    for (const auto& [name, one] : file.at("cases").items()) {
      const tally read{one.at("blocks").get<std::size_t>(), one.at("texts").get<std::vector<std::uint64_t>>()};
      const auto total = std::accumulate(read.texts.begin(), read.texts.end(), std::uint64_t{0});
      if (read.texts.size() != text_count || total != read.blocks * texts_per_block) {
        throw std::runtime_error(fmt::format("{}: expected {} counts with a sum of {} for '{}'; it has {} with {}",
                                             path.string(), text_count, read.blocks * texts_per_block, name,
                                             read.texts.size(), total));
      }
      counted[name] = read;
    }
  } catch (const json::exception& error) {
    throw std::runtime_error(fmt::format("{}: expected counts of cases: {}", path.string(), error.what()));
  }
  return counted;
}

sole_use::sole_use(const std::filesystem::path& path) : lock_(path) {
  lock_ += ".lock";
  file_ = ::open(lock_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (file_ < 0)
    throw std::runtime_error(fmt::format("{}: cannot be written: {}", lock_.string(), std::strerror(errno)));
  if (::flock(file_, LOCK_EX | LOCK_NB) == 0) return;
  ::close(file_);
  throw std::runtime_error(
      fmt::format("{}: another run is counting into it; wait for it, or choose another --output", path.string()));
}

sole_use::~sole_use() {
  ::unlink(lock_.c_str());
  ::close(file_);
}

void write_tallies(const std::filesystem::path& path, std::uint64_t seed, const tallies& counted) {
  json file = settings_of(seed);
  json cases = json::object();
  for (const auto& [name, one] : counted) cases[name] = {{"blocks", one.blocks}, {"texts", one.texts}};
  file["cases"] = std::move(cases);
  const std::string text = file.dump() + '\n';
  std::filesystem::path beside = path;
  beside += ".new";
  const auto fail = [](const std::filesystem::path& which) {
    throw std::runtime_error(fmt::format("{}: cannot be written: {}", which.string(), std::strerror(errno)));
  };
  std::FILE* out = std::fopen(beside.c_str(), "wb");
  if (out == nullptr) fail(beside);
  const bool written = std::fwrite(text.data(), 1, text.size(), out) == text.size();
  if (std::fclose(out) != 0 || !written) {
    const int why = errno;
    std::remove(beside.c_str());
    errno = why;
    fail(beside);
  }
  if (std::rename(beside.c_str(), path.c_str()) != 0) fail(path);
}

}  // namespace frequencies
