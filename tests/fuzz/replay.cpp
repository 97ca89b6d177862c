// Runs a fuzz target without libFuzzer: its seed corpus, then mutations of it, the same ones every time.
//
//   TARGET CORPUS... [--mutations N]    the seeds, the files of these directories, and N mutations of them
//   TARGET FILE...                      these inputs
//   TARGET --seeds DIRECTORY            writes the seeds there
//
// An input that ends the program is left in the working directory as TARGET.crash.

#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>

#include "fuzz.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define SPECDEC_FUZZ_SANITIZED 1
#elif defined(__has_feature)
#define SPECDEC_FUZZ_SANITIZED __has_feature(address_sanitizer)
#else
#define SPECDEC_FUZZ_SANITIZED 0
#endif
#if SPECDEC_FUZZ_SANITIZED
#include <sanitizer/common_interface_defs.h>
#endif

// What a target does before its first input, if anything.
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

namespace fs = std::filesystem;
using fuzz::bytes;

std::string crash_file;
bytes under_test;

extern "C" void keep_input() {
  // What would be unsafe in a handler that goes on is safe enough in one that ends.
  std::ofstream(crash_file, std::ios::binary)
      .write(reinterpret_cast<const char*>(under_test.data()), static_cast<std::streamsize>(under_test.size()));
  std::fprintf(stderr, "the input is in %s\n", crash_file.c_str());
}

extern "C" void keep_input_at(int signal) {
  keep_input();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void watch_for_the_end() {
  std::signal(SIGABRT, keep_input_at);
#if SPECDEC_FUZZ_SANITIZED
  // The sanitizers handle the other signals, and end the program themselves.
  __sanitizer_set_death_callback(keep_input);
#else
  for (const int signal : {SIGSEGV, SIGFPE, SIGILL, SIGBUS}) std::signal(signal, keep_input_at);
#endif
}

// An exception that the target lets pass ends the program, here, where the input is known.
void run(const bytes& input) noexcept {
  under_test = input;
  static_cast<void>(LLVMFuzzerTestOneInput(under_test.data(), under_test.size()));
}

bytes read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path.string() + ": cannot be opened");
  return fuzz::bytes_of(std::string(std::istreambuf_iterator<char>(file), {}));
}

/// Changes inputs as libFuzzer does, less cleverly: bits, bytes, numbers at the edges, pieces lost, doubled and taken
/// over from another input.
class mutator {
 public:
  [[nodiscard]] bytes mutate(const std::vector<bytes>& corpus) {
    bytes changed = corpus[below(corpus.size())];
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) change(changed, corpus);
    return changed;
  }

 private:
  std::size_t below(std::size_t n) { return engine_() % n; }
  std::ptrdiff_t place(std::size_t n) { return static_cast<std::ptrdiff_t>(below(n)); }

  void change(bytes& b, const std::vector<bytes>& corpus) {
    if (b.empty()) b.push_back(static_cast<std::uint8_t>(engine_()));
    const std::size_t at = below(b.size());
    const std::size_t size = 1 + below(std::min<std::size_t>(b.size() - at, 16));
    const auto from = b.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(7)) {
      case 0:
        b[at] ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 1:
        b[at] = static_cast<std::uint8_t>(engine_());
        break;
      case 2:
        b.erase(from, from + static_cast<std::ptrdiff_t>(size));
        break;
      case 3: {
        const bytes piece(from, from + static_cast<std::ptrdiff_t>(size));
        b.insert(b.begin() + place(b.size() + 1), piece.begin(), piece.end());
        break;
      }
      case 4: {
        constexpr std::uint64_t edges[] = {0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, ~0ULL};
        const std::uint64_t number = edges[below(std::size(edges))];
        std::memcpy(&b[at], &number, std::min(sizeof number, b.size() - at));
        break;
      }
      case 5:
        b.resize(at);
        break;
      default: {
        const bytes& other = corpus[below(corpus.size())];
        if (other.empty()) break;
        const std::size_t begin = below(other.size());
        const std::size_t count = std::min({other.size() - begin, b.size() - at, 1 + below(64)});
        std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(begin), count, from);
        break;
      }
    }
  }

  std::mt19937 engine_{8};
};

void write_seeds(const fs::path& directory) {
  fs::create_directories(directory);
  std::size_t number = 0;
  for (const bytes& seed : fuzz::seeds()) {
    std::ofstream file(directory / ("seed-" + std::to_string(number++)), std::ios::binary);
    file.write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
    if (!file.flush()) throw std::runtime_error(directory.string() + ": cannot be written to");
  }
}

int replay(const std::vector<std::string>& arguments) {
  std::vector<bytes> corpus;
  std::size_t mutations = 0;
  bool only_files = !arguments.empty();
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--seeds" && i + 1 < arguments.size()) return write_seeds(arguments[i + 1]), 0;
    if (argument == "--mutations" && i + 1 < arguments.size()) {
      const std::string& number = arguments[++i];
      const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), mutations);
      if (error != std::errc{} || end != number.data() + number.size()) {
        throw std::runtime_error("--mutations: expected a number; got " + number);
      }
      only_files = false;
    } else if (fs::is_directory(argument)) {
      std::vector<fs::path> files;
      for (const auto& entry : fs::directory_iterator(argument)) files.push_back(entry.path());
      std::sort(files.begin(), files.end());
      for (const fs::path& file : files) corpus.push_back(read(file));
      only_files = false;
    } else {
      corpus.push_back(read(argument));
    }
  }
  if (!only_files) {
    for (bytes& seed : fuzz::seeds()) corpus.push_back(std::move(seed));
  }
  for (const bytes& input : corpus) run(input);
  mutator random;
  for (std::size_t i = 0; i < mutations; ++i) run(random.mutate(corpus));
  std::cerr << corpus.size() << " inputs and " << mutations << " mutations of them: nothing found\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  crash_file = fs::path(argv[0]).filename().string() + ".crash";
  watch_for_the_end();
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  try {
    return replay({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 2;
  }
}
