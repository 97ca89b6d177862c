// The kernels of every instruction set against one another, to the last bit, and against plain references.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <specdec/specdec.hpp>
#include <string>
#include <thread>
#include <vector>

#include "reference_law.hpp"

namespace {

namespace detail = specdec::detail;
using detail::isa;
using specdec::bfloat16;
using specdec::float16;
using specdec::law;
using specdec::logits_row;
using specdec::proposal;
using specdec::sampling_params;
using specdec::token_id;

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<isa> supported_sets() {
  std::vector<isa> sets;
  for (const isa set : detail::every_isa) {
    if (detail::supported(set)) sets.push_back(set);
  }
  return sets;
}

/// The kernels of one instruction set, while this lives.
class with_isa {
 public:
  explicit with_isa(isa set) : before_(detail::isa_in_use()) { detail::isa_in_use() = set; }
  ~with_isa() { detail::isa_in_use() = before_; }
  with_isa(const with_isa&) = delete;
  with_isa& operator=(const with_isa&) = delete;

 private:
  isa before_;
};

/// Memory that ends exactly behind the last of `size` numbers, and begins `offset` numbers into an allocation.
template <class T>
class exact_row {
 public:
  exact_row(const std::vector<T>& numbers, std::size_t offset)
      : memory_(new T[numbers.size() + offset]), offset_(offset), size_(numbers.size()) {
    std::copy(numbers.begin(), numbers.end(), memory_.get() + offset);
  }
  operator logits_row<T>() const { return {memory_.get() + offset_, size_}; }
  std::span<const T> span() const { return {memory_.get() + offset_, size_}; }

 private:
  std::unique_ptr<T[]> memory_;
  std::size_t offset_;
  std::size_t size_;
};

enum class kind { normal, ties, few, sunken, subnormal, huge, narrow, nan, positive_infinity, nothing };
constexpr kind every_kind[] = {kind::normal, kind::ties,      kind::few,
                               kind::sunken, kind::subnormal, kind::huge,
                               kind::narrow, kind::nan,       kind::positive_infinity,
                               kind::nothing};

std::vector<float> logits_of(kind k, std::size_t size, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<float> logits(size);
  for (float& x : logits) {
    float sum = -12;  // nearly normal, of variance 2, the same in every standard library
    for (int i = 0; i < 24; ++i) sum += static_cast<float>(engine() >> 8) * 0x1p-24F;
    x = 2 * sum;
  }
  for (std::size_t i = 0; i < size; ++i) {
    float& x = logits[i];
    switch (k) {
      case kind::ties:
        x = std::round(x);
        break;
      case kind::few:
        if (engine() % 16 != 0) x = -infinity;
        break;
      case kind::sunken:  // whole blocks whose weights vanish, or nearly
        if (i / 1024 % 2 == 1) x -= 80 + static_cast<float>(i % 11);
        break;
      case kind::subnormal:
        x *= 1e-40F;
        break;
      case kind::huge:
        x *= 4e37F;
        break;
      case kind::narrow:
        x = 1000 + x * 1e-3F;
        break;
      case kind::nothing:
        x = -infinity;
        break;
      default:
        break;
    }
  }
  if (k == kind::nan && size > 0) logits[size * 2 / 3] = std::numeric_limits<float>::quiet_NaN();
  if (k == kind::positive_infinity && size > 0) logits[size / 3] = infinity;
  return logits;
}

/// Every number that a law and the laws made out of it give away, by bits.
class fingerprint {
 public:
  void add(double x) { bits_.push_back(std::bit_cast<std::uint64_t>(x)); }
  void add_token(token_id token) { bits_.push_back(static_cast<std::uint64_t>(token)); }

  template <class Law>
  void add_draws(const Law& p) {
    for (const double u : {0.0, 0.1, 0.37, 0.62, 0.9, 0x1.fffffffffffffp-1}) add_token(p.draw(u));
  }

  [[nodiscard]] std::uint64_t hash() const {
    std::uint64_t hash = 1469598103934665603U;
    for (const std::uint64_t bits : bits_) hash = (hash ^ bits) * 1099511628211U;
    return hash;
  }

  friend bool operator==(const fingerprint&, const fingerprint&) = default;

 private:
  std::vector<std::uint64_t> bits_;
};

std::vector<sampling_params> all_settings() {
  return {{.temperature = 0.8},
          {.temperature = 0},
          {.temperature = 0.8, .top_k = 3},
          {.temperature = 0.8, .top_k = 40, .top_p = 0.9, .min_p = 0.05},
          {.temperature = 1.3, .top_p = 0.8},
          {.temperature = 0.7, .top_p = 0.3, .order = specdec::filter_order::llama_cpp},
          {.temperature = 0.7, .min_p = 0.02},
          {.temperature = 0.9, .top_p = 0.9, .bias = {{0, 1.5}}}};
}

template <class T>
fingerprint take(const logits_row<T>& row, const std::vector<float>& weights) {
  fingerprint found;
  for (const sampling_params& settings : all_settings()) {
    law pipeline(row.size(), settings);
    const auto p = pipeline.of(row);
    found.add_token(static_cast<token_id>(p.fault()));
    if (!p.valid()) continue;
    found.add(p.total());
    found.add_token(p.mode());
    for (std::size_t t = 0; t < row.size(); t += 1 + row.size() / 50) {
      found.add(p.probability(static_cast<token_id>(t)));
    }
    found.add_draws(p);

    std::vector<token_id> ids(std::min<std::size_t>(7, row.size()));
    std::vector<float> top(ids.size());
    const proposal laws[] = {proposal::dense(weights), p.propose_top(ids, top),
                             proposal::point_mass(row.size(), p.mode())};
    for (const proposal& q : laws) {
      const specdec::residual left(p, q);
      found.add(q.total());
      found.add(left.mass());
      found.add_draws(q);
      found.add_draws(left);
    }
  }
  return found;
}

template <class T>
void expect_equal_bits(const std::vector<T>& numbers, std::size_t offset, const std::string& what) {
  const exact_row<T> row(numbers, offset);
  std::vector<float> weights(numbers.size(), 1.0F);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i * 7919 % 1000) / 64 + 0.25F;
  fingerprint expected;
  for (const isa set : supported_sets()) {
    const with_isa forced(set);
    const fingerprint found = take<T>(row, weights);
    if (set == isa::scalar) expected = found;
    ASSERT_TRUE(found == expected) << what << ", " << to_string(set);
  }
}

/// The nearest number, ties to even; enough for tests.
bfloat16 to_bfloat16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (x != x) return {0x7FC0};
  return {static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)};
}
float16 to_float16(float x) {
  if (x != x) return {0x7E00};
  const auto sign = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16 & 0x8000);
  const float magnitude = std::abs(x);
  if (magnitude >= 65520) return {static_cast<std::uint16_t>(sign | 0x7C00)};
  const int exponent = std::max(magnitude == 0 ? -14 : std::ilogb(magnitude), -14);
  const auto steps = static_cast<std::uint16_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  return {static_cast<std::uint16_t>(sign | (steps + ((exponent + 14) << 10)))};
}

template <class T, class Convert>
std::vector<T> converted(const std::vector<float>& from, Convert convert) {
  std::vector<T> to;
  for (const float x : from) to.push_back(convert(x));
  return to;
}

TEST(kernels, have_the_same_bits_on_every_instruction_set) {
  for (std::size_t size = 1; size <= 67; ++size) {
    for (const kind k : every_kind) {
      expect_equal_bits(logits_of(k, size, static_cast<std::uint32_t>(size)), size % 16,
                        std::to_string(size) + " of kind " + std::to_string(static_cast<int>(k)));
    }
  }
  for (const std::size_t size : {1000U, 1023U, 1024U, 1025U, 1088U, 2049U, 4096U, 5003U, 32000U}) {
    for (const kind k : every_kind) {
      const auto logits = logits_of(k, size, static_cast<std::uint32_t>(size));
      const std::string what = std::to_string(size) + " of kind " + std::to_string(static_cast<int>(k));
      expect_equal_bits(logits, 0, what);
      expect_equal_bits(converted<bfloat16>(logits, to_bfloat16), 1, what + " in bfloat16");
      expect_equal_bits(converted<float16>(logits, to_float16), 1, what + " in float16");
    }
  }
}

// A sum in another order, a fused multiply-add or another exponential would change these bits. They are the same for
// every compiler and every flag.
TEST(kernels, have_the_same_bits_everywhere) {
  std::uint64_t hash = 0;
  for (const kind k : every_kind) {
    for (const std::size_t size : {1U, 17U, 67U, 1025U, 6001U}) {
      const auto logits = logits_of(k, size, 77);
      hash = hash * 31 + take<float>(exact_row<float>(logits, 1), std::vector<float>(size, 0.75F)).hash();
    }
  }
  EXPECT_EQ(hash, 0x855c505cad0009fdU) << std::hex << hash;
}

TEST(kernels, have_the_same_bits_at_every_misalignment) {
  for (const std::size_t size : {67U, 3000U}) {
    const auto logits = logits_of(kind::normal, size, 3);
    for (std::size_t offset = 0; offset < 32; ++offset) {
      expect_equal_bits(logits, offset, "offset " + std::to_string(offset));
      expect_equal_bits(converted<bfloat16>(logits, to_bfloat16), offset, "offset " + std::to_string(offset));
    }
    const std::vector<float> weights(size, 1.0F);
    const fingerprint expected = take<float>(exact_row<float>(logits, 0), weights);
    for (std::size_t offset = 1; offset < 32; ++offset) {
      EXPECT_TRUE(take<float>(exact_row<float>(logits, offset), weights) == expected) << offset;
    }
  }
}

TEST(kernels, take_nothing_at_all) {
  for (const isa set : supported_sets()) {
    const with_isa forced(set);
    EXPECT_EQ(detail::total_weight_of(std::span<const float>()).sum, 0);
    detail::kernels_for<float>().study(nullptr, 0, 1, nullptr, nullptr);
    EXPECT_EQ(detail::kernels_for<float>().count(nullptr, 0, 0), 0U);
    EXPECT_FALSE(detail::kernels_for<float>().has_nan(nullptr, 0));
  }
}

TEST(kernels, convert_every_16_bit_number) {
  std::vector<float16> halves;
  std::vector<bfloat16> brains;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    halves.push_back({static_cast<std::uint16_t>(bits)});
    brains.push_back({static_cast<std::uint16_t>(bits)});
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const auto fraction = static_cast<float>(bits & 1023);
    float expected = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) expected = fraction == 0 ? infinity : std::numeric_limits<float>::quiet_NaN();
    const float got = halves.back();
    if (expected != expected) {
      EXPECT_NE(got, got) << bits;
    } else {
      EXPECT_EQ(got, bits >> 15 != 0 ? -expected : expected) << bits;
    }
    EXPECT_EQ(std::bit_cast<std::uint32_t>(static_cast<float>(brains.back())), bits << 16);
  }
  // Selecting everything finite hands back the converted numbers themselves.
  for (const isa set : supported_sets()) {
    const with_isa forced(set);
    std::vector<float> finite(65536 + 16);
    const std::vector<float> weights(65536);
    const auto picked = detail::kernels_for<float16>().select_between(halves.data(), weights.data(), 65536, -infinity,
                                                                      65504, finite.data());
    std::size_t at = 0;
    for (const float16 h : halves) {
      const float x = h;
      if (std::isfinite(x)) {
        ASSERT_EQ(std::bit_cast<std::uint32_t>(x), std::bit_cast<std::uint32_t>(finite[at++])) << to_string(set);
      }
    }
    EXPECT_EQ(picked.count, at);
  }
}

TEST(kernels, give_a_16_bit_row_the_law_of_its_numbers) {
  const auto logits = logits_of(kind::normal, 5000, 9);
  const auto halves = converted<float16>(logits, to_float16);
  const std::vector<float> numbers(halves.begin(), halves.end());
  const std::vector<float> weights(5000, 1.0F);
  const fingerprint expected = take<float>(exact_row<float>(numbers, 0), weights);
  EXPECT_TRUE(take<float16>(exact_row<float16>(halves, 3), weights) == expected);
  // Strided, as a column of a matrix.
  std::vector<float16> spread(5000 * 2);
  for (std::size_t i = 0; i < 5000; ++i) spread[2 * i] = halves[i];
  EXPECT_TRUE(take<float16>(logits_row<float16>(spread.data(), 5000, 2), weights) == expected);
}

/// The shares that draws give, given the sums and weights they go by.
template <class T>
std::vector<double> drawn_law(const specdec::distribution<T>& p) {
  std::vector<double> shares(p.vocab_size());
  detail::block<specdec::arithmetic<T>> weights;
  for (std::size_t b = 0; b < detail::block_count(p.vocab_size()); ++b) {
    p.fill(b * detail::block_size, weights);
    double left = p.block_total(b);
    std::size_t last = 0;
    for (std::size_t i = 0; i < weights.size; ++i) {
      if (!(weights.values[i] > 0) || left <= 0) continue;
      const double taken = std::min(left, static_cast<double>(weights.values[i]));
      last = b * detail::block_size + i;
      shares[last] = taken / p.total();
      left -= taken;
    }
    shares[last] += std::max(left, 0.0) / p.total();
  }
  return shares;
}

TEST(kernels, are_within_1e6_of_the_exact_law_at_262144_tokens) {
  constexpr std::size_t size = 262144;
  for (const kind k : {kind::normal, kind::narrow, kind::ties}) {
    const auto logits = logits_of(k, size, 5);
    for (const double temperature : {0.2, 1.0, 3.0}) {
      law pipeline(size, {temperature});
      const auto p = pipeline.of(logits_row<float>(logits.data(), size));
      const auto drawn = drawn_law(p);
      const long double maximum = *std::max_element(logits.begin(), logits.end());
      std::vector<long double> exact;
      long double total = 0;
      for (const float x : logits) {
        exact.push_back(std::exp((static_cast<long double>(x) - maximum) / static_cast<long double>(temperature)));
        total += exact.back();
      }
      long double of_probabilities = 0;
      long double of_draws = 0;
      for (std::size_t t = 0; t < size; ++t) {
        const long double e = exact[t] / total;
        of_probabilities += std::abs(e - static_cast<long double>(p.probability(static_cast<token_id>(t)))) / 2;
        of_draws += std::abs(e - static_cast<long double>(drawn[t])) / 2;
      }
      EXPECT_LT(of_probabilities, 1e-6L) << "kind " << static_cast<int>(k) << " at " << temperature;
      EXPECT_LT(of_draws, 1e-6L) << "kind " << static_cast<int>(k) << " at " << temperature;
      // And draws do go by those shares.
      double passed = 0;
      for (std::size_t t = 0; t < size; ++t) {
        if (t % 4099 == 0 && drawn[t] > 1e-9) {
          EXPECT_EQ(p.draw(passed + drawn[t] / 2), static_cast<token_id>(t));
        }
        passed += drawn[t];
      }
    }
  }
}

/// -sum p ln p of what the settings keep of a row, by the definition.
template <class T>
long double exact_entropy(const logits_row<T>& row, const specdec::distribution<T>& kept, double temperature) {
  using real = specdec::arithmetic<T>;
  std::vector<long double> weights;
  const auto maximum = static_cast<long double>(static_cast<real>(row[static_cast<std::size_t>(kept.mode())]));
  long double total = 0;
  for (std::size_t t = 0; t < row.size(); ++t) {
    if (!(kept.probability(static_cast<token_id>(t)) > 0)) continue;
    const auto x = static_cast<long double>(static_cast<real>(row[t]));
    weights.push_back(std::exp((x - maximum) / static_cast<long double>(temperature)));
    total += weights.back();
  }
  long double entropy = 0;
  for (const long double w : weights) entropy -= w / total * std::log(w / total);
  return entropy;
}

template <class T>
void expect_exact_entropy(const std::vector<T>& numbers, const std::string& what) {
  const exact_row<T> memory(numbers, 1);
  const logits_row<T> row = memory;
  for (const sampling_params& settings : all_settings()) {
    // The reference knows no bias.
    if (!settings.bias.empty()) continue;
    fingerprint expected;
    for (const isa set : supported_sets()) {
      const with_isa forced(set);
      law pipeline(row.size(), settings);
      const auto p = pipeline.of(row);
      if (!p.valid()) continue;
      fingerprint found;
      found.add(p.entropy());
      if (set == isa::scalar) expected = found;
      ASSERT_TRUE(found == expected) << what << ", " << to_string(set);
      const long double exact = settings.temperature == 0 ? 0 : exact_entropy(row, p, settings.temperature);
      ASSERT_NEAR(p.entropy(), static_cast<double>(exact), 2e-6 * (1 + static_cast<double>(exact)))
          << what << ", " << to_string(set) << " at " << settings.temperature;
    }
  }
}

TEST(kernels, find_the_entropy_of_a_law) {
  for (const std::size_t size : {1U, 2U, 17U, 67U, 1024U, 1025U, 5003U, 32000U}) {
    for (const kind k : every_kind) {
      const auto logits = logits_of(k, size, static_cast<std::uint32_t>(size));
      const std::string what = std::to_string(size) + " of kind " + std::to_string(static_cast<int>(k));
      expect_exact_entropy(logits, what);
      expect_exact_entropy(converted<bfloat16>(logits, to_bfloat16), what + " in bfloat16");
      expect_exact_entropy(converted<float16>(logits, to_float16), what + " in float16");
    }
  }
  const std::vector<float> alike(1000, 3.0F);
  law pipeline(alike.size(), {});
  EXPECT_NEAR(pipeline.of(logits_row<float>(alike.data(), alike.size())).entropy(), std::log(1000.0), 1e-6);
}

TEST(kernels, find_the_entropy_of_what_a_mask_and_edits_leave) {
  const std::vector<double> logits{1, 2, 0.5, 3, -1};
  law pipeline(5, {.temperature = 0.5, .bias = {{1, -std::numeric_limits<double>::infinity()}, {2, 1.5}}});
  const auto p = pipeline.of(logits_row<double>(logits.data(), logits.size()));
  double entropy = 0;
  for (token_id t = 0; t < 5; ++t) {
    if (p.probability(t) > 0) entropy -= p.probability(t) * std::log(p.probability(t));
  }
  EXPECT_NEAR(p.entropy(), entropy, 1e-12);
  EXPECT_EQ(p.probability(1), 0);
}

double distance(const specdec::distribution<float>& got, const std::vector<double>& expected) {
  double sum = 0;
  for (std::size_t t = 0; t < expected.size(); ++t) {
    sum += std::abs(got.probability(static_cast<token_id>(t)) - expected[t]);
  }
  return sum / 2;
}

TEST(filters, cut_large_vocabularies_where_a_full_sort_does) {
  constexpr std::size_t size = 20011;
  std::vector<std::vector<float>> all;
  for (const kind k : {kind::normal, kind::ties, kind::few, kind::sunken, kind::narrow}) {
    all.push_back(logits_of(k, size, 11));
  }
  all.push_back(std::vector<float>(size, 1.25F));
  // Rows whose sample, a few tokens of each block, says nothing of where the mass is.
  for (const float height : {-20.0F, 9.0F, 30.0F}) {
    auto misleading = logits_of(kind::normal, size, 12);
    for (std::size_t i = 0; i < size; ++i) {
      if (i % 1024 / 32 == i / 1024 * 7 % 32) misleading[i] += height;
    }
    all.push_back(misleading);
  }
  for (std::size_t row = 0; row < all.size(); ++row) {
    const std::vector<double> exact(all[row].begin(), all[row].end());
    for (const sampling_params& settings :
         std::vector<sampling_params>{{.top_p = 0.95},
                                      {.top_p = 0.999},
                                      {.temperature = 0.7, .top_p = 0.5, .order = specdec::filter_order::llama_cpp},
                                      {.temperature = 2, .top_p = 0.05},
                                      {.top_k = 40},
                                      {.top_k = 1000},
                                      {.top_k = 15000},
                                      {.temperature = 1.5, .top_k = 2000, .top_p = 0.9},
                                      {.temperature = 1.5, .top_p = 0.9, .min_p = 0.01},
                                      {.top_p = 0.9, .bias = {{3, 2.0}, {20000, -1.0}}}}) {
      law pipeline(size, settings);
      const auto p = pipeline.of(logits_row<float>(all[row].data(), size));
      const auto expected = laws::reference_law(exact, {}, 0, settings);
      // One token more or less where the share is reached within rounding.
      EXPECT_LT(distance(p, expected), row == 5 ? 1e-4 : 2e-6)
          << "row " << row << ", top-k " << settings.top_k << ", top-p " << settings.top_p;
      double sum = 0;
      for (std::size_t b = 0; b < detail::block_count(size); ++b) sum += p.block_total(b);
      EXPECT_NEAR(sum, p.total(), 1e-9 * sum);
      double probabilities = 0;
      for (std::size_t t = 0; t < size; ++t) probabilities += p.probability(static_cast<token_id>(t));
      EXPECT_NEAR(probabilities, 1, 1e-6);
    }
  }
}

/// What top-p should keep of a row, up to the rounding of sums in float: no fewer tokens than reach the share, and none
/// behind the first that does.
void expect_shortest_head(const std::vector<float>& logits, const sampling_params& settings, const std::string& what) {
  law pipeline(logits.size(), settings);
  const auto p = pipeline.of(logits_row<float>(logits.data(), logits.size()));
  std::vector<float> kept;
  for (std::size_t t = 0; t < logits.size(); ++t) {
    if (p.log_probability(static_cast<token_id>(t)) > -static_cast<double>(infinity)) kept.push_back(logits[t]);
  }
  ASSERT_FALSE(kept.empty()) << what;
  const double temperature = settings.order == specdec::filter_order::llama_cpp ? 1 : settings.temperature;
  const float maximum = *std::max_element(logits.begin(), logits.end());
  const auto mass_of = [&](const std::vector<float>& of) {
    long double mass = 0;
    for (const float x : of) mass += std::exp((static_cast<long double>(x) - maximum) / temperature);
    return mass;
  };
  const long double total = mass_of(logits);
  const long double reached = mass_of(kept) / total;
  const long double before = reached - mass_of({*std::min_element(kept.begin(), kept.end())}) / total;
  constexpr long double rounding = 2e-6L;
  EXPECT_GT(reached, settings.top_p - rounding) << what << ": too few tokens, " << kept.size();
  EXPECT_LT(before, settings.top_p + rounding) << what << ": too many tokens, " << kept.size();
}

TEST(filters, keep_what_a_share_just_below_one_needs) {
  for (const double share : {0.9999, 0.999999, 0.9999999, 1 - 0x1p-53}) {
    for (const std::size_t size : {3U, 100U, 1000U, 4000U, 9000U}) {
      for (int step = 1; step <= 40; ++step) {
        std::vector<float> logits(size, static_cast<float>(step) * -1e-4F);
        logits[0] = 0;
        expect_shortest_head(logits, {.top_p = share}, std::to_string(size) + " tokens, step " + std::to_string(step));
      }
    }
  }
}

TEST(filters, weigh_a_flat_row_of_262144_tokens) {
  constexpr std::size_t size = 262144;
  std::vector<float> logits(size, std::log(0.9995F));
  logits[size / 2] = 0;
  expect_shortest_head(logits, {.top_p = 0.9998}, "flat");
  std::fill(logits.end() - 100000, logits.end(), -50.0F);
  expect_shortest_head(logits, {.temperature = 100, .top_p = 0.9999, .order = specdec::filter_order::llama_cpp},
                       "flat, with a tail");
}

TEST(filters, end_between_a_group_and_the_rest) {
  // The rest is where the sample does not look, so that the cutoff is sought in a bracket without a token.
  constexpr std::size_t size = 8192;
  std::mt19937 engine(1);
  for (int trial = 0; trial < 10; ++trial) {
    std::vector<float> logits(size);
    long double mass[2] = {};
    for (std::size_t i = 0; i < size; ++i) {
      const bool sampled = i % 1024 / 32 == i / 1024 * 7 % 32;
      const bool in_rest = !sampled && engine() % 5 < 2;
      logits[i] = i == 0 ? 0 : in_rest ? -1.5F : -0.02F * static_cast<float>(engine() >> 8) * 0x1p-24F;
      mass[in_rest ? 1 : 0] += std::exp(static_cast<long double>(logits[i]));
    }
    const auto share = static_cast<double>(mass[0] / (mass[0] + mass[1]));
    for (int step = -30; step <= 30; ++step) {
      expect_shortest_head(logits, {.top_p = share * (1 + step * 2e-8)}, "trial " + std::to_string(trial));
    }
  }
}

TEST(filters, drop_a_tail_that_a_share_just_below_one_can_do_without) {
  // 300 of the first tokens have all the mass but 1e-13; at a high temperature the others would have most of it.
  for (const std::size_t size : {500U, 9000U, 100000U}) {
    std::vector<float> logits(size, -50.0F);
    for (std::size_t i = 0; i < 300; ++i) logits[i] = static_cast<float>(i % 7) * -0.01F;
    law pipeline(size, {.temperature = 100, .top_p = 1 - 1e-9, .order = specdec::filter_order::llama_cpp});
    const auto p = pipeline.of(logits_row<float>(logits.data(), size));
    EXPECT_GT(p.probability(299), 0) << size;
    EXPECT_EQ(p.probability(300), 0) << size;
  }
}

TEST(filters, honour_masks_and_edits_as_if_the_row_were_so) {
  constexpr std::size_t size = 5000;
  const auto logits = logits_of(kind::ties, size, 21);
  std::vector<std::uint32_t> allowed(detail::words_of(size));
  std::mt19937 engine(4);
  for (auto& word : allowed) word = static_cast<std::uint32_t>(engine());
  const std::vector<detail::edit> edits{{0, 1.5}, {1023, 6.0}, {1024, -3.0}, {4999, 5.0}};
  auto plain = logits;
  for (const detail::edit& e : edits) plain[static_cast<std::size_t>(e.token)] = static_cast<float>(e.logit);
  for (std::size_t t = 0; t < size; ++t) {
    if ((allowed[t / 32] >> t % 32 & 1) == 0) plain[t] = -infinity;
  }
  for (const detail::filter_settings& settings :
       {detail::filter_settings{}, {.top_k = 30}, {.top_p = 0.9}, {.top_k = 2000, .top_p = 0.8}, {.min_p = 0.1}}) {
    detail::filter_workspace workspace;
    std::vector<detail::block_mass> a(detail::block_count(size));
    std::vector<detail::block_mass> b(detail::block_count(size));
    const auto masked = detail::study_filtered(detail::edited_row<float>{{logits.data(), size}, edits, allowed},
                                               settings, workspace, std::span(a));
    const auto expected =
        detail::study_filtered(detail::edited_row<float>{{plain.data(), size}}, settings, workspace, std::span(b));
    EXPECT_EQ(masked.maximum, expected.maximum);
    EXPECT_EQ(masked.highest, expected.highest);
    EXPECT_EQ(masked.total, expected.total);
    EXPECT_EQ(masked.limit.logit, expected.limit.logit);
    EXPECT_EQ(masked.limit.last, expected.limit.last);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].sum, b[i].sum);
  }
}

TEST(kernels, of_several_rows_may_run_in_several_threads) {
  constexpr std::size_t size = 9000;
  constexpr std::size_t rows = 8;
  std::vector<std::vector<float>> logits;
  for (std::size_t r = 0; r < rows; ++r) logits.push_back(logits_of(kind::normal, size, static_cast<std::uint32_t>(r)));
  const std::vector<float> weights(size, 1.0F);
  std::vector<fingerprint> alone(rows);
  std::vector<fingerprint> together(rows);
  const auto row = [&](std::size_t r) { return logits_row<float>(logits[r].data(), size); };
  for (std::size_t r = 0; r < rows; ++r) alone[r] = take(row(r), weights);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t r = t; r < rows; r += 4) together[r] = take(row(r), weights);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t r = 0; r < rows; ++r) EXPECT_TRUE(together[r] == alone[r]) << r;
}

TEST(dispatch, can_be_forced_and_says_what_it_cannot_do) {
  for (const isa set : supported_sets()) {
    EXPECT_EQ(detail::isa_named(to_string(set)), set);
    ::setenv("SPECDEC_ISA", to_string(set), 1);
    EXPECT_EQ(detail::preferred_isa(), set);
  }
  ::setenv("SPECDEC_ISA", "sse9", 1);
  try {
    static_cast<void>(detail::preferred_isa());
    ADD_FAILURE() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "specdec: SPECDEC_ISA must be scalar, baseline, avx2 or avx512; got sse9");
  }
  ::setenv("SPECDEC_ISA", "", 1);
  EXPECT_EQ(detail::preferred_isa(), supported_sets().back());
  ::unsetenv("SPECDEC_ISA");
  for (const isa set : detail::every_isa) {
    if (detail::supported(set)) continue;
    EXPECT_THROW(static_cast<void>(detail::isa_named(to_string(set))), std::invalid_argument);
  }
}

}  // namespace
