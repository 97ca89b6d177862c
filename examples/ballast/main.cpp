// Saves a model with ballast: the same texts, at the cost of a model of any size.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include <gguf.hpp>
#include <program/terminal.hpp>
#include <program/text.hpp>
#include <program/values.hpp>
#include <specdec/version.hpp>

#include "widened_file.hpp"

namespace ballast {
namespace {

namespace fs = std::filesystem;
using program::usage_error;

constexpr int success = 0, failure = 1, wrong_usage = 2;

constexpr std::string_view help_text =
    R"(Saves a model with ballast: the same texts, at the cost of a model of any size.

  ballast MODEL.gguf OUT.gguf [options]
  ballast examples/models/target.gguf wide.gguf --ballast 150M --type q8_0

Every feed-forward block is widened with units whose outputs are multiplied by zeros. So any engine that reads GGUF can
be measured with a target of real acceptance and of whatever size the machine bears. Models are of the Llama
architecture, in F32, F16, BF16 or Q8_0.

  --ballast PARAMETERS     how many parameters the model shall have: 500M, 1.5G [150M]
  --type f32|f16|q8_0      what its matrices are saved as [f16]
  -h,  --help              print this
  --version                print the version
)";

struct options {
  fs::path model, out;
  std::size_t parameters = 150'000'000;
  toy::tensor_type type = toy::tensor_type::float16;
};

toy::tensor_type parse_type(std::string_view text) {
  if (text == "f32") return toy::tensor_type::float32;
  if (text == "f16") return toy::tensor_type::float16;
  if (text == "q8_0") return toy::tensor_type::q8_0;
  throw usage_error(fmt::format("--type: expected f32, f16 or q8_0; got '{}'", text));
}

std::optional<options> parse(int argc, const char* const* argv) {
  options asked;
  std::string model, out, parameters, type;
  bool help = false, version = false;
  CLI::App app;
  app.set_help_flag();
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("model", model);
  app.add_option("out", out);
  const CLI::Option& parameters_given = *app.add_option("--ballast", parameters)->type_name("value");
  const CLI::Option& type_given = *app.add_option("--type", type)->type_name("value");
  app.add_flag("-h,--help", help);
  app.add_flag("--version", version);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    throw usage_error(error.what());
  }
  if (help || version) {
    const program::terminal screen(stdout, false);
    screen.write_styled(help ? std::string(help_text)
                             : fmt::format("ballast, specdec {}.{}.{}\n", SPECDEC_VERSION_MAJOR, SPECDEC_VERSION_MINOR,
                                           SPECDEC_VERSION_PATCH));
    return std::nullopt;
  }
  if (model.empty() || out.empty()) throw usage_error("expected two files, a model to read and one to write");
  asked.model = model;
  asked.out = out;
  if (!parameters_given.empty()) asked.parameters = program::parse_size("--ballast", parameters);
  if (!type_given.empty()) asked.type = parse_type(type);
  return asked;
}

/// What is half written goes by another name.
fs::path part_of(fs::path path) { return path += ".part"; }

// Whole or not at all.
void save(const toy::gguf_writer& file, const fs::path& path) {
  const fs::path part = part_of(path);
  try {
    std::ofstream out(part, std::ios::binary);
    if (out) file.write(out);
    out.close();
    if (!out) throw std::runtime_error(fmt::format("{}: cannot be written: {}", part.string(), std::strerror(errno)));
    fs::rename(part, path);
  } catch (...) {
    std::error_code ignored;
    fs::remove(part, ignored);
    throw;
  }
}

int main_of(int argc, const char* const* argv) {
  const std::optional<options> asked = parse(argc, argv);
  if (!asked) return success;
  std::error_code ignored;
  if (fs::equivalent(asked->model, part_of(asked->out), ignored)) {
    throw usage_error(fmt::format("{}: expected another name of a model that becomes {}, which is written by way of it",
                                  asked->model.string(), asked->out.string()));
  }
  const toy::gguf_file file(asked->model);
  const toy::gguf_writer wide = widened(file, asked->parameters, asked->type);
  save(wide, asked->out);
  const toy::gguf_file saved(asked->out);
  std::size_t parameters = 0;
  for (const auto& [name, tensor] : saved.tensors()) parameters += tensor.size;
  const program::terminal screen(stdout, false);
  screen.write_styled(fmt::format("{}: {} parameters, feed-forward blocks of {} units instead of {}\n",
                                  asked->out.string(), program::parameters(parameters),
                                  saved.get<std::uint64_t>("llama.feed_forward_length"),
                                  file.get<std::uint64_t>("llama.feed_forward_length")));
  screen.close();
  return success;
}

/// One line on standard error. If that cannot be written either, the exit code must do: nothing throws here.
void complain(const char* what, const char* advice = "") noexcept {
  std::fprintf(stderr, "ballast: %s%s\n", what, advice);
}

}  // namespace
}  // namespace ballast

int main(int argc, char** argv) {
  try {
    return ballast::main_of(argc, argv);
  } catch (const program::usage_error& error) {
    ballast::complain(error.what(), " (--help lists the options)");
    return ballast::wrong_usage;
  } catch (const std::exception& error) {
    ballast::complain(error.what());
    return ballast::failure;
  }
}
