// JSON that programs read and write: files that say which layers to skip, files of prompts, and statistics. Any text is
// taken or refused with a std::runtime_error; what is written can be read, and says the same.

#include <cmath>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <unistd.h>

#include <layer_search/skip_file.hpp>
#include <measurement/prompts.hpp>
#include <nlohmann/json.hpp>
#include <program/json.hpp>
#include <specdec/decode/statistics.hpp>

#include "fuzz.hpp"

namespace {

using fuzz::input;
using fuzz::refused;
using fuzz::require;

/// A file of this process, gone with it. Made anew for every text: file systems take care to keep one that is cut to
/// nothing and written again, and time for it.
class scratch_file {
 public:
  ~scratch_file() { std::filesystem::remove(path_); }
  const std::filesystem::path& holding(std::string_view text) {
    std::ofstream file(made_anew(), std::ios::binary);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    require(static_cast<bool>(file.flush()), "a file can be written");
    return path_;
  }
  const std::filesystem::path& made_anew() {
    std::filesystem::remove(path_);
    return path_;
  }

 private:
  std::filesystem::path path_ = std::filesystem::temp_directory_path() / ("fuzz-json-" + std::to_string(getpid()));
};

void read_skip_file(scratch_file& file, std::string_view text) {
  const auto found = fuzz::made<std::runtime_error>([&] { return layer_search::load(file.holding(text)); });
  if (!found) return;
  require(found->skip.layer_count() > 0, "there are layers");
  const std::filesystem::path& saved = file.made_anew();
  layer_search::save(*found, saved);
  const layer_search::finding again = layer_search::load(saved);
  require(again.skip == found->skip && again.model == found->model, "what is saved is what is loaded");
  require(again.tokens_per_second == found->tokens_per_second && again.speedup == found->speedup, "to the last bit");
}

void read_prompt_file(scratch_file& file, std::string_view text) {
  const auto prompts = fuzz::made<std::runtime_error>([&] { return measurement::read_prompts(file.holding(text)); });
  if (!prompts) return;
  require(!prompts->empty(), "there are prompts");
  for (const auto& one : *prompts) require(!one.text.empty(), "a prompt has a text");
  require(measurement::task_by_task(*prompts).size() == prompts->size(), "none is lost when they are sorted");
}

/// A text that a program prints in JSON, whatever its bytes.
void print(std::string_view text) {
  const std::string line = program::on_one_line({{"text", text}});
  require(line.find('\n') == line.size() - 1, "it is one line");
  const auto read = nlohmann::json::parse(line);
  const std::string came = read.at("text").get<std::string>();
  require(came == text || came.find("\xef\xbf\xbd") != std::string::npos, "text comes back, but for what is no text");
}

void write_statistics(input in) {
  specdec::statistics stats;
  for (auto member : {&specdec::statistics::rounds, &specdec::statistics::proposed, &specdec::statistics::evaluated,
                      &specdec::statistics::accepted, &specdec::statistics::emitted, &specdec::statistics::delivered,
                      &specdec::statistics::cut, &specdec::statistics::residual_fallbacks}) {
    stats.*member = in.bits<std::uint64_t>();
  }
  for (auto member : {&specdec::statistics::draft_seconds, &specdec::statistics::target_seconds,
                      &specdec::statistics::verify_seconds}) {
    stats.*member = in.bits<double>();
  }
  for (std::size_t depth = in.below(8); depth > 0; --depth) {
    stats.evaluated_at.push_back(in.bits<std::uint64_t>());
    stats.accepted_at.push_back(in.bits<std::uint64_t>());
  }
  const auto read = nlohmann::json::parse(specdec::to_json(stats));
  const auto same = [&read](const char* name, auto value) {
    const auto& field = read.at(name);
    if constexpr (std::is_floating_point_v<decltype(value)>) {
      require(std::isfinite(value) ? field.get<double>() == value : field.is_null(), "a real number comes back");
    } else {
      require(field.get<decltype(value)>() == value, "counts come back");
    }
  };
  same("rounds", stats.rounds);
  same("proposed", stats.proposed);
  same("evaluated", stats.evaluated);
  same("accepted", stats.accepted);
  same("emitted", stats.emitted);
  same("delivered", stats.delivered);
  same("cut", stats.cut);
  same("residual_fallbacks", stats.residual_fallbacks);
  same("evaluated_at", stats.evaluated_at);
  same("accepted_at", stats.accepted_at);
  same("draft_seconds", stats.draft_seconds);
  same("target_seconds", stats.target_seconds);
  same("verify_seconds", stats.verify_seconds);
  same("alpha", stats.alpha());
  same("draft_acceptance_rate", stats.draft_acceptance_rate());
  same("mean_acceptance_length", stats.mean_acceptance_length());
  same("tokens_per_second", stats.tokens_per_second());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static scratch_file file;
  const std::string text(data, data + size);
  read_skip_file(file, text);
  read_prompt_file(file, text);
  print(text);
  write_statistics(input({data, size}));
  return 0;
}

std::vector<fuzz::bytes> fuzz::seeds() {
  std::vector<bytes> made = noises(6, 160);
  for (const char* text : {
           R"({"layers": 8})",
           R"({"model": "target.gguf", "layers": 8, "attention": [3, 5], "feed_forward": [4],
               "tokens_per_second": 812.5, "speedup": 1.1})",
           R"({"layers": 4, "attention": [4]})",
           R"({"layers": 4, "attention": [0, 0], "feed_forward": 3, "model": null})",
           R"({"layers": 1e18, "speedup": 1e308})",
           R"({"layers": -1})",
           R"([{"layers": [[[[[[[["deep"]]]]]]]]}])",
           R"({"layers": {"layers": {"layers": {"layers": {}}}}})",
           "{\"task\": \"story\", \"prompt\": \"It was\", \"answer\": \"\"}\n\n{\"prompt\": \"\\ud83d\\udc08\"}\r\n",
           "{\"prompt\": 1}",
           "{\"prompt\": \"caf\xc3\xa9 \xff\"}",
           "text with \"quotes\", \x01 controls and \xed\xa0\x80 bytes",
       }) {
    made.push_back(bytes_of(text));
  }
  // Nested so deeply that whoever recurses runs out of stack.
  made.push_back(bytes_of("{\"layers\": " + std::string(50'000, '[') + std::string(50'000, ']') + "}"));
  return made;
}
