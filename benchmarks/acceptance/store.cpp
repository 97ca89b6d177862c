#include "store.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include <program/text_file.hpp>

namespace acceptance {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view kind = "acceptance study";
constexpr int version = 1;

std::runtime_error cannot(const std::filesystem::path& path, std::string_view what) {
  return std::runtime_error(fmt::format("{}: cannot be {}: {}", path.string(), what, std::strerror(errno)));
}

// Where two objects first differ, as "weights f32", and as "weights f16"; nothing if they do not.
void require_same(const std::filesystem::path& path, const json& expected, const json& got, const std::string& within) {
  for (const auto& [name, value] : expected.items()) {
    const json other = got.contains(name) ? got.at(name) : json();
    if (value == other) continue;
    if (value.is_object() && other.is_object()) require_same(path, value, other, within + name + " ");
    throw std::runtime_error(
        fmt::format("{}: expected a study with {}{} {}; it has {} (choose another --output, or its settings)",
                    path.string(), within, name, value.dump(), other.is_null() ? "none" : other.dump()));
  }
}

}  // namespace

contents read(const std::filesystem::path& path) {
  const std::string text = program::read_file(path.string());
  contents result;
  bool first = true;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    // A run was killed while it wrote.
    if (end == std::string::npos && !first) break;
    const json line = json::parse(std::string_view(text).substr(at, end - at), nullptr, false);
    if (first) {
      if (!line.is_object() || line.value("kind", "") != kind || line.value("version", 0) != version ||
          !line.contains("settings")) {
        throw std::runtime_error(
            fmt::format("{}: expected an {}, version {}; it is none", path.string(), kind, version));
      }
      result.settings = line.at("settings");
      first = false;
    } else {
      try {
        const cell one = cell_from(line);
        result.found[one.name] = one.found;
      } catch (const json::exception&) {
        throw std::runtime_error(fmt::format("{}: expected a cell in the line at byte {}; got '{}'", path.string(), at,
                                             text.substr(at, std::min<std::size_t>(end - at, 40))));
      } catch (const std::runtime_error& error) {
        throw std::runtime_error(fmt::format("{}: the line at byte {}: {}", path.string(), at, error.what()));
      }
    }
    at = result.bytes = end == std::string::npos ? text.size() : end + 1;
  }
  if (first) throw std::runtime_error(fmt::format("{}: expected an {}; it is empty", path.string(), kind));
  return result;
}

store::store(std::filesystem::path path, const json& settings) : path_(std::move(path)) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path_, error);
  // A run that was killed while it wrote its first line has done nothing yet.
  const bool begun = !error && size > 0 && program::read_file(path_.string()).find('\n') != std::string::npos;
  if (begun) {
    contents before = read(path_);
    require_same(path_, settings, before.settings, "");
    cells_ = std::move(before.found);
    if (before.bytes < size) std::filesystem::resize_file(path_, before.bytes);
  }
  file_.reset(std::fopen(path_.c_str(), begun ? "ab" : "wb"));
  if (!file_) throw cannot(path_, "opened");
  if (!begun) write({{"kind", kind}, {"version", version}, {"settings", settings}});
}

void store::append(const cell& one) {
  write(to_json(one));
  cells_[one.name] = one.found;
}

void store::write(const json& line) {
  const std::string text = line.dump() + '\n';
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() || std::fflush(file_.get()) != 0) {
    throw cannot(path_, "written");
  }
}

}  // namespace acceptance
