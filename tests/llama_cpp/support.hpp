#ifndef LLAMA_CPP_SUPPORT_HPP
#define LLAMA_CPP_SUPPORT_HPP

/// @file
/// llama.cpp as the tests use it: the bundled models, contexts that compute alike on every machine, files of their own.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <specdec/adapters/llama_cpp.hpp>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../message_of.hpp"

namespace llama_test {

namespace llama = specdec::llama_cpp;
using specdec::token_id;

/// A file that is there while this lives.
class temporary_file {
 public:
  explicit temporary_file(const std::string& name)
      : path_((std::filesystem::temp_directory_path() / ("specdec_" + std::to_string(::getpid()) + "_" + name))
                  .string()) {}
  temporary_file(const std::string& name, std::span<const std::byte> bytes) : temporary_file(name) {
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  ~temporary_file() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// Prepares llama.cpp, once. Everything below does it by itself. What llama.cpp has to say about errors that are wanted
/// is not printed.
inline void start() {
  [[maybe_unused]] static const bool started = [] {
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    llama::load_backends();
    return true;
  }();
}

inline std::string bundled_path(const std::string& name) {
  return std::string(SPECDEC_MODELS_DIR) + "/" + name + ".gguf";
}

/// A bundled model, loaded once and for all tests.
inline const llama::model& bundled(const std::string& name) {
  start();
  static std::map<std::string, llama::model> loaded;
  const auto known = loaded.find(name);
  return known != loaded.end() ? known->second
                               : loaded.emplace(name, llama::model::load(bundled_path(name))).first->second;
}
inline const llama::model& target() { return bundled("target"); }
inline const llama::model& draft() { return bundled("draft"); }

/// The same in another format, as a file that is there until the tests end.
inline const std::string& converted_path(const std::string& name, llama_ftype format) {
  start();
  static std::map<std::pair<std::string, int>, temporary_file> files;
  const auto [place, added] = files.try_emplace({name, format}, name + std::to_string(format) + ".gguf");
  if (added) {
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = format;
    params.nthread = 1;
    if (llama_model_quantize(bundled_path(name).c_str(), place->second.path().c_str(), &params) != 0) {
      throw std::runtime_error("llama.cpp cannot convert " + name);
    }
  }
  return place->second.path();
}
/// The same with weights in float32. With those in float16 llama.cpp rounds activations to float16 too, in some calls.
inline const llama::model& in_float32(const std::string& name) {
  static std::map<std::string, llama::model> loaded;
  const auto known = loaded.find(name);
  return known != loaded.end()
             ? known->second
             : loaded.emplace(name, llama::model::load(converted_path(name, LLAMA_FTYPE_ALL_F32))).first->second;
}

/// A small context whose memory is float32, computed by one thread.
inline llama_context_params small(std::uint32_t capacity = 256) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = capacity;
  params.n_threads = params.n_threads_batch = 1;
  params.type_k = params.type_v = GGML_TYPE_F32;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.no_perf = true;
  return params;
}

/// What an abort callback is told: asked so often, it lets a call go on.
struct patience {
  static constexpr int endless = 1 << 30;
  int left = endless;

  static bool exhausted(void* data) { return static_cast<patience*>(data)->left-- <= 0; }
};

/// The tokens of a text of English, as many as are wanted.
inline std::vector<token_id> some_text(std::size_t count) {
  std::string text;
  while (text.size() < 8 * count)
    text += "It was evening. The lamps were not yet lit, and the children had gone up to bed. ";
  std::vector<token_id> tokens = target().tokenize(text);
  tokens.resize(count);
  return tokens;
}

}  // namespace llama_test

#endif  // LLAMA_CPP_SUPPORT_HPP
