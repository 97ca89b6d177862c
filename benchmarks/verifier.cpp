// What verification costs, against reading the same rows of logits once.
//
// A cold row comes from memory: rows cycle through more bytes than the last-level cache is said to have. A hot row is
// read again and again. All that one table compares runs interleaved in one process, several times over; the best time
// of each is printed, and the ratio of the best times and of the medians.

#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <specdec/specdec.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cold_rows.hpp"
#include "tables.hpp"

namespace {

using cold_rows::cold_bytes;
using cold_rows::noise;
using cold_rows::read_once;
using cold_rows::rows;
using cold_rows::rows_of;
using specdec::detail::isa;

constexpr std::size_t vocab = 128256;
constexpr std::size_t chain = 5;

/// The kernels of one instruction set, while this lives.
class with_isa {
 public:
  explicit with_isa(isa set) : before_(std::exchange(specdec::detail::isa_in_use(), set)) {}
  ~with_isa() { specdec::detail::isa_in_use() = before_; }
  with_isa(const with_isa&) = delete;
  with_isa& operator=(const with_isa&) = delete;

 private:
  isa before_;
};

template <class Body>
void add(const std::string& name, Body body) {
  tables::order().push_back(name);
  benchmark::RegisterBenchmark(name.c_str(), [body](benchmark::State& state) mutable {
    for (auto _ : state) body();
  });
}

template <class T>
void add_law(const char* table, const std::string& what, bool cold, const specdec::sampling_params& params,
             isa set = specdec::detail::preferred_isa(), std::size_t size = vocab) {
  add(tables::name_of(table, what, cold),
      [cold, set, size, pipeline = specdec::law(size, params), source = static_cast<rows<T>*>(nullptr)]() mutable {
        if (source == nullptr) source = &rows_of<T>(size, cold);
        const with_isa forced(set);
        const auto p = pipeline.of(specdec::logits_row<T>(source->next(1), size));
        benchmark::DoNotOptimize(p.total());
      });
}

template <class T>
void add_read(const char* table, bool cold, std::size_t number = 1, std::size_t size = vocab) {
  add(tables::name_of(table, "read", cold),
      [=] { read_once(rows_of<T>(size, cold).next(number), number * size * sizeof(T)); });
}

/// The two passes anyone writes first.
double softmax_total(const float* x, std::size_t size) {
  const float maximum = *std::max_element(x, x + size);
  double total = 0;
  for (std::size_t i = 0; i < size; ++i) total += std::exp(x[i] - maximum);
  return total;
}

double softmax_total_eigen(const float* x, std::size_t size) {
  const Eigen::Map<const Eigen::ArrayXf> logits(x, static_cast<Eigen::Index>(size));
  return (logits - logits.maxCoeff()).exp().sum();
}

const specdec::sampling_params default_chain{.temperature = 0.8, .top_k = 40, .top_p = 0.95, .min_p = 0.05};

void register_laws() {
  constexpr const char* table = "One row's law at a temperature, 128,256 logits in float32";
  for (const bool cold : {true, false}) {
    add_read<float>(table, cold);
    for (const isa set : specdec::detail::every_isa) {
      if (specdec::detail::supported(set)) {
        add_law<float>(table, std::string("specdec, ") + to_string(set), cold, {.temperature = 0.8}, set);
      }
    }
    add(tables::name_of(table, "Eigen", cold),
        [=] { benchmark::DoNotOptimize(softmax_total_eigen(rows_of<float>(vocab, cold).next(1), vocab)); });
    add(tables::name_of(table, "std::exp", cold),
        [=] { benchmark::DoNotOptimize(softmax_total(rows_of<float>(vocab, cold).next(1), vocab)); });
  }
}

template <class T>
void register_storage(const char* table) {
  for (const bool cold : {true, false}) {
    add_read<T>(table, cold);
    add_law<T>(table, "specdec", cold, {.temperature = 0.8});
  }
}

void register_filters() {
  constexpr const char* table = "One row's filtered law, 128,256 logits in float32";
  for (const bool cold : {true, false}) {
    add_read<float>(table, cold);
    add_law<float>(table, "greedy", cold, {.temperature = 0});
    add_law<float>(table, "top-k 40, top-p 0.95, min-p 0.05", cold, default_chain);
    add_law<float>(table, "top-k 1000", cold, {.top_k = 1000});
    add_law<float>(table, "top-p 0.95", cold, {.top_p = 0.95});
    add_law<float>(table, "top-p 0.5", cold, {.top_p = 0.5});
    add_law<float>(table, "min-p 0.05", cold, {.min_p = 0.05});
  }
}

/// Randomness that accepts everything or nothing.
struct forced_chance {
  bool accepts;
  specdec::philox draws{1};

  bool accept(const specdec::key&, double, double) const { return accepts; }
  template <specdec::DiscreteLaw L>
  specdec::token_id draw(const specdec::key& k, const L& law) const {
    return draws.draw(k, law);
  }
};

/// A session's part in one round, cut down to the verifier's.
struct round {
  round(const specdec::sampling_params& params, bool accepts) : target(vocab, params), chance{accepts} {}

  void verify(const specdec::draft& drafted, const float* logits, std::size_t number) {
    target.begin_round(context, 1, drafted);
    const auto found =
        specdec::rejection{}(drafted, specdec::logits_view<float>(logits, number, vocab), target, chance);
    benchmark::DoNotOptimize(found.next);
  }

  std::vector<specdec::token_id> context = {1, 2, 3};
  specdec::law target;
  forced_chance chance;
};

void register_chains() {
  constexpr const char* table = "A fully accepted chain of 5: six rows and the bonus draw";
  for (const bool cold : {true, false}) {
    add_read<float>(table, cold, chain + 1);
    const auto add_chain = [&](const char* what, const specdec::sampling_params& params) {
      add(tables::name_of(table, what, cold),
          [cold, verifier = round(params, true), drafted = specdec::draft()]() mutable {
            if (drafted.empty()) {
              drafted.begin({.context = verifier.context});
              specdec::node_id parent = specdec::root;
              for (std::size_t i = 0; i < chain; ++i) {
                parent = drafted.extend(parent, specdec::proposal::point_mass(vocab, 7), verifier.chance);
              }
            }
            verifier.verify(drafted, rows_of<float>(vocab, cold).next(chain + 1), chain + 1);
          });
    };
    add_chain("temperature 0.8", {.temperature = 0.8});
    add_chain("top-k 40, top-p 0.95, min-p 0.05", default_chain);
  }
}

/// Drafts of one token with a dense law each, as many as make their laws cold.
std::vector<specdec::draft>& dense_drafts(bool cold) {
  static std::map<bool, std::vector<specdec::draft>> made;
  auto& drafts = made[cold];
  if (drafts.empty()) {
    drafts.resize(cold ? cold_bytes() / (vocab * sizeof(float)) : 1);
    const std::vector<specdec::token_id> context = {1, 2, 3};
    specdec::law pipeline(vocab, {});
    std::vector<float> weights(vocab);
    const specdec::philox chance;
    for (std::size_t i = 0; i < drafts.size(); ++i) {
      const specdec::logits_row<float> logits(noise().data() + i * 97, vocab);
      drafts[i].begin({.context = context});
      drafts[i].extend(specdec::root, pipeline.of(logits).propose_all(weights), chance);
    }
  }
  return drafts;
}

void register_rejections() {
  constexpr const char* table = "A rejection at the first position: one row, its draft's law, the residual draw";
  for (const bool cold : {true, false}) {
    add(tables::name_of(table, "read", cold), [cold, at = std::size_t{0}]() mutable {
      auto& drafts = dense_drafts(cold);
      read_once(rows_of<float>(vocab, cold).next(1), vocab * sizeof(float));
      read_once(drafts[at++ % drafts.size()].law_of(1).weights().data(), vocab * sizeof(float));
    });
    add(tables::name_of(table, "dense q", cold), [cold, at = std::size_t{0}, verifier = round({}, false)]() mutable {
      auto& drafts = dense_drafts(cold);
      verifier.verify(drafts[at++ % drafts.size()], rows_of<float>(vocab, cold).next(1), 2);
    });
    const auto add_small = [&](const char* what, std::size_t top) {
      add(tables::name_of(table, what, cold),
          [cold, top, verifier = round({}, false), drafted = specdec::draft()]() mutable {
            if (drafted.empty()) {
              specdec::law pipeline(vocab, {});
              std::vector<specdec::token_id> ids(top);
              std::vector<float> weights(top);
              drafted.begin({.context = verifier.context});
              drafted.extend(specdec::root,
                             pipeline.of(specdec::logits_row<float>(noise().data(), vocab)).propose_top(ids, weights),
                             verifier.chance);
            }
            verifier.verify(drafted, rows_of<float>(vocab, cold).next(1), 2);
          });
    };
    add_small("sparse q of 64 (q not read)", 64);
    add_small("point-mass q (q not read)", 1);
  }
}

void register_sizes() {
  constexpr const char* table = "Hot rows of other sizes";
  for (std::size_t size = 1024; size <= std::size_t{1} << 20; size *= 2) {
    add_law<float>(table, "law of " + std::to_string(size), false, {.temperature = 0.8},
                   specdec::detail::preferred_isa(), size);
  }
  for (const std::size_t size : {std::size_t{2048}, std::size_t{4096}}) {
    add_law<float>(table, "filtered law of " + std::to_string(size), false, default_chain,
                   specdec::detail::preferred_isa(), size);
  }
}

}  // namespace

int main(int argc, char** argv) {
  register_laws();
  register_storage<specdec::bfloat16>("One row's law, 128,256 logits in bfloat16");
  register_storage<specdec::float16>("One row's law, 128,256 logits in float16");
  register_filters();
  register_chains();
  register_rejections();
  register_sizes();

  if (!tables::initialize(argc, argv)) return 1;
  std::printf("best instruction set here: %s; cold rows cycle through %zu MiB\n",
              to_string(specdec::detail::preferred_isa()), cold_bytes() >> 20);
  tables::reporter report;
  benchmark::RunSpecifiedBenchmarks(&report);
  return 0;
}
