// The vocabulary work alone: llama.cpp's sampler chains against specdec's pipeline, from a row of logits to a token, on
// the same rows in one run. All that one table compares runs interleaved, several times over.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <initializer_list>
#include <memory>
#include <specdec/specdec.hpp>
#include <string>
#include <vector>

#include <llama.h>

#include "cold_rows.hpp"
#include "tables.hpp"

namespace {

using cold_rows::rows_of;

constexpr std::size_t vocab = 128256;
constexpr float top_p = 0.95F, min_p = 0.05F, temperature = 0.8F;

/// A chain of llama.cpp's samplers, with the candidates that it works on: used as llama.cpp's own programs use it.
class chain {
 public:
  /// Takes over the samplers.
  explicit chain(std::initializer_list<llama_sampler*> samplers)
      : chain_(llama_sampler_chain_init(llama_sampler_chain_default_params()), llama_sampler_free), candidates_(vocab) {
    for (llama_sampler* one : samplers) llama_sampler_chain_add(chain_.get(), one);
  }

  llama_token sample(const float* logits) {
    for (std::size_t token = 0; token < vocab; ++token) {
      candidates_[token] = {static_cast<llama_token>(token), logits[token], 0};
    }
    llama_token_data_array all{candidates_.data(), candidates_.size(), -1, false};
    llama_sampler_apply(chain_.get(), &all);
    return all.data[all.selected].id;
  }

 private:
  std::unique_ptr<llama_sampler, void (*)(llama_sampler*)> chain_;
  std::vector<llama_token_data> candidates_;
};

/// specdec's pipeline, drawing as it would at one position after the other.
class pipeline {
 public:
  explicit pipeline(const specdec::sampling_params& params) : law_(vocab, params) {}

  specdec::token_id sample(const float* logits) {
    return chance_.draw({.position = position_++}, law_.of(specdec::logits_row<float>(logits, vocab)));
  }

 private:
  specdec::law law_;
  specdec::philox chance_{1};
  std::uint32_t position_ = 0;
};

template <class Sampler>
void add(const char* table, const char* what, bool cold, std::shared_ptr<Sampler> sampler) {
  const std::string name = tables::name_of(table, what, cold);
  tables::order().push_back(name);
  benchmark::RegisterBenchmark(name.c_str(), [cold, sampler](benchmark::State& state) {
    cold_rows::rows<float>& rows = rows_of<float>(vocab, cold);
    for (auto _ : state) benchmark::DoNotOptimize(sampler->sample(rows.next(1)));
  });
}

void add_table(const char* table, const specdec::sampling_params& params,
               std::initializer_list<llama_sampler*> samplers) {
  const auto ours = std::make_shared<pipeline>(params);
  const auto theirs = std::make_shared<chain>(samplers);
  for (const bool cold : {true, false}) {
    const std::string name = tables::name_of(table, "read", cold);
    tables::order().push_back(name);
    benchmark::RegisterBenchmark(name.c_str(), [cold](benchmark::State& state) {
      cold_rows::rows<float>& rows = rows_of<float>(vocab, cold);
      for (auto _ : state) cold_rows::read_once(rows.next(1), vocab * sizeof(float));
    });
    add(table, "specdec", cold, ours);
    add(table, "llama.cpp", cold, theirs);
  }
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::uint32_t seed = 1;
  add_table("Temperature 0.8", {.temperature = 0.8},
            {llama_sampler_init_temp(temperature), llama_sampler_init_dist(seed)});
  add_table("Top-k 40, top-p 0.95, min-p 0.05, temperature 0.8",
            {.temperature = 0.8, .top_k = 40, .top_p = 0.95, .min_p = 0.05, .order = specdec::filter_order::llama_cpp},
            {llama_sampler_init_top_k(40), llama_sampler_init_top_p(top_p, 1), llama_sampler_init_min_p(min_p, 1),
             llama_sampler_init_temp(temperature), llama_sampler_init_dist(seed)});
  add_table("Top-p 0.95", {.top_p = 0.95}, {llama_sampler_init_top_p(top_p, 1), llama_sampler_init_dist(seed)});

  if (!tables::initialize(argc, argv)) return 1;
  std::printf("from a row of %zu logits, N(0, 3), to a token; cold rows cycle through %zu MiB\n", vocab,
              cold_rows::cold_bytes() >> 20);
  tables::reporter report("specdec");
  benchmark::RunSpecifiedBenchmarks(&report);
  return 0;
}
